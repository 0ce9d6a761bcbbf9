import pytest

from data import furniture


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("您当前位置:中国菏泽网  >  社会新闻  > 正文", "navigation"),
        ("首页 > 新闻 > 正文", "navigation"),
        ("上一篇：全市安全生产工作会议召开", "navigation"),
        ("打印本页 关闭窗口", "navigation"),
        ("分享到微信朋友圈", "sharing bar"),
        ("点击上方蓝字关注我们", "sharing bar"),
        ("微信 微博 QQ空间", "sharing bar"),
        ("相关阅读", "related links"),
        ("往期推荐：", "related links"),
        ("作者: 来源: 菏泽日报 发表时间: 2025-01-09 10:18", "date line"),
        ("2025-01-09 10:18", "date line"),
        ("1月20日 星期一 农历甲辰年腊月廿一", "masthead"),
        ("第3版 要闻", "masthead"),
        ("要闻", "masthead"),
        ("— 12 —", "page number"),
        ("第 3 页 共 12 页", "page number"),
        ("（下转第二版）", "turn marker"),
        ("鲁ICP备12345678号-1", "footer"),
        ("版权所有 未经授权不得转载", "footer"),
        ("关于我们 | 联系我们 | 网站地图", "footer"),
        ("本报记者 王晓明", "byline"),
        ("记者 王晓明 通讯员 李军 报道", "byline"),
        ("责任编辑：张三", "byline"),
        ("王晓明 摄", "byline"),
        ("本 报 记 者 王 晓 明", "byline"),
    ],
)
def test_furniture_is_told_with_its_reason(line: str, reason: str) -> None:
    assert furniture.reason(line) == reason


@pytest.mark.parametrize(
    "line",
    [
        "",
        "   ",
        "全市安全生产工作会议召开",
        "记者在现场看到，工人们正在打包网络订单。",
        "打印机企业落户我市，带动就业三百人。",
        "——访市人大代表张健",
        "党建引领 乡村振兴",
        "2024年，我市新增电商企业120家。",
        "本报讯 11月12日，全市乡村振兴工作推进会召开。",
        "首届农民丰收节在马集镇举办",
        "编辑部里来了一群小学生，他们参观了报纸的制作过程。",
        "责任编辑：" + "长" * furniture.MAX_LENGTH,
    ],
)
def test_text_is_no_furniture(line: str) -> None:
    assert furniture.reason(line) is None


@pytest.mark.parametrize(
    ("text", "fragment"), [("九个汉字还是太短了a1。", True), ("十个汉字的标题算一段", False), ("", True)]
)
def test_fragment_has_fewer_than_ten_chinese_characters(text: str, fragment: bool) -> None:
    assert furniture.is_fragment(text) is fragment


@pytest.mark.parametrize(
    ("byline", "rest"),
    [
        ("本报讯 ", "11月12日，会议召开。"),
        ("本报讯（记者 王晓明）", "11月12日，会议召开。"),
        ("本报讯(通讯员 鞠林昆)", "11月12日,会议召开。"),
        ("（本报记者 王晓明）", "11月12日，会议召开。"),
        ("（上接第一版）", "会议强调，要抓好落实。"),
        ("", "本报读者来信说，村里变了样。"),
        ("", "（一）加强领导。"),
    ],
)
def test_lead_byline(byline: str, rest: str) -> None:
    assert furniture.lead_byline(byline + rest) == len(byline)


@pytest.mark.parametrize(
    ("text", "byline"),
    [
        ("会议召开。", "（王晓明）"),
        ("会议召开。", "（记者 王晓明）"),
        ("会议召开。", " 本报记者 王晓明 摄"),
        ("会议召开。", "（下转第二版）"),
        ("会议召开。", "■记者 王晓明"),
        ("会议讨论了方案（草案）", ""),
        ("面积30亩（约2公顷）。", ""),
        ("会议召开。", ""),
        ("", ""),
    ],
)
def test_trailing_byline(text: str, byline: str) -> None:
    assert furniture.trailing_byline(text + byline) == len(text)
