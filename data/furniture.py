"""What a page prints around its articles, and why it is left out.

Each rule is a pattern for a whole short line or block and the reason shown to the
user by `--explain`. `lead_byline` and `trailing_byline` find the bylines that stand
inside a paragraph's own line.

Anybody may send a line made to make a pattern backtrack. So a repeated group may match
a text in one way only, or is atomic, and no pattern searches more than a line's length.
"""

import re
from functools import cache, lru_cache

from data.characters import HAN, close_letter_spacing, count_han

# Longer than this no line is furniture, whatever words it holds.
MAX_LENGTH = 90
# A byline at a paragraph's end stands within this many characters.
MAX_TRAILING = 200

_NAME = rf"[{HAN}·]{{2,5}}"
_NAMES = rf"{_NAME}(?:[\s、,，]+{_NAME})*"
_ROLE = r"(?:记者站|记者|通讯员|评论员|观察员|摄影师|主持人)"
_REPORTER = rf"(?:[{HAN}]{{2,6}}(?:日报|晚报|早报|时报|晨报|网))?(?:本报|本台|本网|特约|见习|实习|首席|全媒体|融媒体|融媒)*{_ROLE}"
# Names before a further role. They hold no role themselves, so the next role ends them, and
# a list of reporters reads in one way only.
_NAME_BETWEEN = rf"(?:(?!{_ROLE})[{HAN}·]){{2,5}}"
_NAMES_BETWEEN = rf"{_NAME_BETWEEN}(?:[\s、,，]+{_NAME_BETWEEN})*"
_REPORTERS = rf"{_REPORTER}(?>[\s:：丨|]*(?:{_NAMES_BETWEEN})?[\s/／,，、]*{_REPORTER})*[\s:：丨|]*"
_NAMED_REPORTERS = rf"{_REPORTER}(?>[\s:：]*{_NAMES_BETWEEN}\s*{_REPORTER})*[\s:：]*{_NAMES}\s*"
_CREDIT = r"(?:文|图|文图|图文|图片|供图|摄影|摄|撰文|撰稿|供稿|来稿|视频|制图|漫画)"
_STAFF = (
    r"(?:责任编辑|值班编辑|本版编辑|特约编辑|执行编辑|编辑|责编|美编|主编|副主编|总编辑?|值班主任|值班总编|编审|审核|审校|校对|校审"
    r"|校检|终审|复审|初审|一审|二审|三审|监制|总监制|出品|出品人|策划|总策划|统筹|排版|版式|版面|设计|制作|组版|图编"
    r"|来源|稿源|稿件来源|文章来源|信息来源|作者|供稿单位|发布机构|发布单位|投稿邮箱|投稿|热线|新闻热线|电话|邮箱|地址|邮编|转载)"
)

# Upper and lower case are the same only where that is said: to say it of a whole pattern makes it slow to compile.
_RULES = (
    ("navigation", r"^(?:您?(?:的|当前)*(?:当前|现在)?(?:的)?位置|当前页面|当前栏目)(?:是)?\s*[:：]?.*(?:>|›|»|/|→|首页|正文|$)"),
    ("navigation", r"^\s*(?:(?:网站首页|首页|返回首页|返回列表|返回|上一篇|下一篇|上一页|下一页|目录|更多)\s*(?:[|｜/·>]\s*)?)++$"),
    ("navigation", r"^(?:网站)?首页\b.*[>›»|/→·\s]|^[>›»]{3,}$"
                   r"|^(?=.+[>›»].)(?:[>›»]{2,}\s*|[>›»])?[^\s>›»]{1,12}(?:\s*[>›»]+\s*[^\s>›»]{1,12}){0,5}(?:\s*[>›»]+)?$"),
    ("navigation", r"^(?:上一篇|下一篇|上一条|下一条|上一页|下一页|上一版|下一版|前一篇|后一篇)(?:[:：\s].*|$)"),
    ("navigation", r"^[\[【（(]?(?:返回|返回首页|返回列表|返回顶部|回到顶部|打印|打印本页|打印此文|关闭|关闭窗口|收藏|收藏本页|我要纠错|纠错|字号|放大|缩小)"
                   r"(?:[\]】）)\s|/、:：]|大|中|小|打印|关闭|返回|收藏|本页|窗口|顶部)*$"),
    ("sharing bar", r"^(?:分享(?:到|至)?|转发(?:到|至)?|扫一扫|扫码|长按|识别二维码|微信扫|用微信扫|手机扫|点击(?:上方|下方|蓝字|关注|阅读|查看|图片|右上角)"
                    r"|关注(?:我们|公众号)|欢迎关注|阅读原文|点(?:个)?(?:赞|在看)|点亮|喜欢此内容|设为星标|星标|觉得不错|收藏|转发|分享收藏|▲?点击|戳)"
                    r"[^。]{0,60}$"),
    ("sharing bar", r"^(?:[↑↓▼▲👆👇☝⬆⬇\s]*)(?:点击|关注|长按|扫码|戳)[^。]{0,30}(?:蓝字|关注|二维码|公众号|我们|原文)[^。]{0,12}$"),
    ("sharing bar", r"^(?:微信|微博|(?i:QQ)|(?i:QQ)空间|朋友圈|新浪微博|复制链接)(?:[\s|/、·]+(?:微信|微博|(?i:QQ)|(?i:QQ)空间|朋友圈|新浪微博|复制链接|更多|分享))*$"),
    ("related links", r"^[·•▪\s]*+\S.{4,60}\s+[（(\[]?(?:\d{4}[-/.])?\d{2}[-/.]\d{2}[）)\]]?$"),
    ("sharing bar", r"^(?:网友评论|我要评论|发表评论|文明上网|最新评论|评论区|喜欢就点|原创(?:\s+\S+){0,3}$).{0,40}$"),
    ("footer", r"^(?:本文|本报道|文章)?(?:转载|转发)(?:请|须|时)?(?:务必)?注明.*$|^.{0,8}(?:图片|照片|资料|素材)(?:由|来源|来自).{2,30}(?:提供|网络)?[）)]?$"),
    ("document head", r"^[HANX]{2,24}文件$|^[HANX]{1,12}[〔\[（(]\d{4}[〕\]）)]\s*(?:第\s*)?\d+\s*号$|^(?:主题词|抄送|抄报|分送|签发人|印发机关|公开方式|此件公开发布|附件\d?|附)\s*[:：（)）].*$"
                      r"|^[HANX]{4,24}\s+\d{4}年\d{1,2}月\d{1,2}日印发$|^各[HANX、，（）()]{2,80}[:：]$|^[HANX]{2,20}(?:人民政府|委员会)?(?:办公室|人民政府|办公厅)$"),
    ("related links", r"^[-—=\s▼►▶◆■【\[]*(?:往期推荐|往期回顾|往期精彩|精彩推荐|推荐阅读|相关阅读|相关链接|相关新闻|相关文章|延伸阅读|热门推荐|热点推荐|热点新闻|热门文章"
                      r"|猜你喜欢|更多(?:精彩|新闻|内容|资讯)|今日推荐|大家都在看|最新(?:新闻|资讯|文章)|图片新闻|视频新闻|热门标签|标签|关键词|(?i:Tags?))[】\]\s▼:：]*(?:[:：].*)?$"),
    ("date line", r"^(?:作者|来源|发布|发表|更新|编辑|时间|日期|发布时间|发表时间|发稿时间|更新时间|发布日期|成文日期|阅读|浏览|点击|阅读量|浏览量|访问量|点击数|点击率|浏览次数|阅读次数|字号|字体|索引号|文号)"
                  r"\s*[:：].*"),
    ("date line", r"^(?:[^。，,！？]{0,20}\s)?\d{4}\s*[-/.年]\s*\d{1,2}\s*[-/.月]\s*\d{1,2}\s*日?"
                  r"(?:\s*\d{1,2}[:：]\d{2}(?:[:：]\d{2})?)?(?:\s+[^。！？]{0,30})?$"),
    ("date line", r"^(?:今天|昨天|星期|周)[一二三四五六日天]?\s*\d{1,2}[:：]\d{2}.*$"),
    ("turn marker", r"^[（(【\[]?\s*(?:上接|下转|紧接|转接|接)第?\s*(?i:[A-D])?[0-9０-９一二三四五六七八九十]{1,3}\s*版?[^。，]{0,14}[）)】\]]?$"),
    ("masthead", r"^(?:\d{4}年\s*)?\d{1,2}月\s*\d{1,2}日\s*(?:星期|周|农历).*$"),
    ("masthead", r"^.{0,16}(?:第?\s*(?:[0-9０-９]{1,3}|(?i:[A-D])\d{1,2}|[一二三四五六七八九十]{1,3})\s*版)(?:\s.{0,40}|[^。，]{0,12})?$"),
    ("masthead", r"^(?i:[A-D])?\d{1,2}\s*[|｜/]\s*\S{2,6}$|^\S{2,6}\s*[|｜/]\s*(?i:[A-D])?\d{1,2}$"),
    ("masthead", r"^(?:要闻|综合|综合新闻|本地新闻|时政|县区新闻|县域新闻|社会|民生|经济|理论|副刊|广告|特别报道|专版|专题|简讯|头版|图片新闻|今日导读|导读)$"),
    ("masthead", r"^.*(?:国内统一(?:连续出版物|刊)号|(?i:CN)\s?\d{2}-\d{4}|邮发代号|总第\s*\d+\s*期|第\s*\d+\s*期(?:\s|$)|今日\s*\d+\s*版|零售价|代号\s*\d+-\d+).*$"),
    ("page number", r"^[-—–·\s]*(?:第\s*)?\d{1,4}(?:\s*页)?(?:\s*[/／]?\s*(?:共\s*)?\d{1,4}\s*页)?[-—–·\s]*$|^(?i:Page)\s*\d+.*$|^(?i:P)\d{1,3}$"),
    ("footer", r"^.*(?:(?i:ICP)[备证]|公网安备|备案号|备案编号|许可证(?:号|编号)?\s*[:：]|版权所有|(?i:Copyright|All rights reserved)|©|新闻刊登批准文号|广播电视节目制作|增值电信"
               r"|未经(?:授权|许可|书面)|不得(?:转载|镜像|复制)|网站标识码|技术支持\s*[:：]|网站地图|违法和不良信息|举报电话|版权声明|免责声明).*$"),
    ("footer", r"^[^。，]*(?:主办|主管|承办|运营)(?:单位)?(?:\s*[:：|｜]|\s+\S+(?:主办|承办|网)).*$|^(?:主办|承办|主管|协办)(?:单位)?[:：].*$"),
    ("footer", r"^(?:(?:关于我们|联系我们|网站声明|法律声明|隐私政策|隐私声明|使用帮助|网站地图|广告服务|人才招聘|友情链接|联系方式|设为首页|加入收藏|手机版|电脑版|客户端)[\s|｜/·-]*)+$"),
    ("footer", r"^(?:[-—–=*_~·.。\s]*)(?:(?i:END|The End|FIN)|完|全文完)(?:[-—–=*_~·.。\s]*)$"),
    ("byline", rf"^[■□◎●○◆▲★☆△▪\s]*[（(【]?{_REPORTERS}(?:{_NAMES})?[\s/／,，、]*(?:文[/／]?图|{_CREDIT}|报道|综合报道)?[）)】]?$"),
    ("byline", rf"^[■□◎●○◆▲★☆△▪\s]*[（(【]?{_REPORTERS}(?:{_NAMES})?\s*(?:{_NAMES})?\s*(?:{_CREDIT}(?:[/／]{_CREDIT})?)?\s*(?:文[/／]?图)?[）)】]?$"),
    ("byline", rf"^[■□◎●○◆\s]*{_NAMES}\s+(?:\S{{2,6}})?(?:报道|报导|综合报道)$"),
    ("byline", rf"^[（(【]?(?:{_CREDIT}[/／、:：\s]+)+(?:{_CREDIT}\s*)?(?:{_NAMES}|\S{{2,12}})[）)】]?$|^[（(【]{_NAMES}\s*{_CREDIT}[）)】]$|^[（(](?:中共)?[{HAN}]{{4,20}}\s+{_NAMES}[）)]$|^{_NAMES}\s+(?:摄|文|图|摄影|摄影报道|供图|供稿|文/图|图/文)$"),
    ("byline", rf"^[（(【]?\s*{_STAFF}(?:[/／丨|｜:：]|\s).{{0,40}}$|^{_STAFF}\s*[:：]?$"),
    ("byline", rf"^(?:中共)?[{HAN}、\s]{{2,26}}(?:书记|主席|部长|局长|市长|县长|区长|镇长|乡长|主任|院长|校长|会长|行长|董事长|总经理|教授|研究员|秘书长|组长|队长)"
               rf"\s+[{HAN}]{{2,4}}$"),
)  # fmt: skip

_LEAD = re.compile(
    rf"(?:[（(【\[]?(?:本报|本台|本网|本刊|融媒体中心|{_NAME}网|新华社|中新社|央视网|人民网)(?:综合)?(?:[{HAN}]{{2,6}}\d{{0,2}}月?\d{{0,2}}日?)?(?:讯|电|消息|报道|专电)[】\]）)]?)"
    rf"\s*(?:[（(【]\s*(?:{_REPORTER})[^）)】]{{0,60}}[）)】]|(?:{_REPORTER})[:：\s]+{_NAMES}(?=\s))?\s*"
    rf"|[（(【]\s*(?:{_REPORTER})[^）)】]{{0,60}}[）)】]\s*"
)
_TURN = r"[（(【]\s*(?:上接|下转|紧接|转|接)第?\s*[A-D]?[0-9０-９一二三四五六七八九十]{1,3}\s*版?[^）)】]{0,16}[）)】]"
_LEAD_TURN = re.compile(rf"(?:▲|△)?\s*{_TURN}\s*")
_TRAILING = re.compile(
    rf"(?<=[。！？；.!?”’」)）])\s*+(?:"
    rf"{_TURN}"
    rf"|[（(【]\s*+(?:本报|全媒体|融媒体)?(?:{_REPORTER}|{_CREDIT})?[\s:：/]*+(?:{_NAMES}|[^）)】。，]{{0,24}})\s*+(?:文[/／]?图|{_CREDIT}|报道)?\s*+[）)】]"
    rf"|[■□◎●]?\s*+{_NAMED_REPORTERS}(?:文[/／]?图|{_CREDIT}|报道)?"
    rf"|[■□◎●]\s*{_NAMES}\s*(?:文[/／]?图|{_CREDIT}|报道)?"
    rf"|{_NAMES}\s+(?:摄|文/图|摄影|摄影报道|报道)"
    rf")$"
)
_PERSON_IN_BRACKETS = re.compile(
    rf"[（(【]\s*(?:.*(?:{_REPORTER}|{_CREDIT}|供稿|报道|上接|下转|紧接|转第|接第).*|{_NAME}(?:\s+{_NAME})*)\s*[）)】]\s*$"
)


def reason(line: str) -> str | None:
    """Return why this line or block is page furniture, or None if it is text."""
    text = line.strip()
    # A letter-spaced line is up to twice as long as its text.
    if not text or len(text) > 4 * MAX_LENGTH:
        return None
    return _reason(text)


@cache
def _compiled_rules() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Compile the rules when the first line asks: it takes longer than the rest of the package's import."""
    return tuple((name, re.compile(pattern.replace("HANX", HAN))) for name, pattern in _RULES)


@lru_cache(maxsize=1 << 14)
def _reason(line: str) -> str | None:
    """Return the reason for a line without outer blanks; layout asks for each line several times."""
    text = close_letter_spacing(line)
    if len(text) > MAX_LENGTH:
        return None
    for name, pattern in _compiled_rules():
        if pattern.match(text):
            return name
    return None


def is_fragment(text: str) -> bool:
    """Whether the text holds fewer than ten Chinese characters (guideline, rule 2)."""
    return count_han(text) < 10


def lead_byline(text: str) -> int:
    """Return the length of a byline or turn marker at the text's start, 0 if there is none."""
    length = 0
    for pattern in (_LEAD_TURN, _LEAD):
        match = pattern.match(text, length)
        if match:
            length = match.end()
    return length


def trailing_byline(text: str) -> int:
    """Return where a byline or turn marker at the text's end begins, the text's length if there is none."""
    end = len(text.rstrip())
    match = _TRAILING.search(text, max(0, end - MAX_TRAILING), end)
    if not match:
        return len(text)
    found = match.group().strip()
    if found[0] in "（(【" and not _PERSON_IN_BRACKETS.match(found):
        return len(text)
    return match.start()
