from data.articles import Unit, group
from data.blocks import Block


def heading(text: str, level: int | None = None) -> Unit:
    return Unit("heading", Block(((0, len(text)),), text, level=level))


def body(text: str, dateline: bool = False, signed: bool = False) -> Unit:
    return Unit("body", Block(((0, len(text)),), text), dateline=dateline, signed=signed)


def furniture(reason: str) -> Unit:
    return Unit("furniture", Block(((0, 1),), "某", reason=reason))


def grouped(units: list[Unit], one_article: bool = False) -> list[tuple[str, list[str]]]:
    """Return headline and the other texts of each article."""
    return [
        (
            article.headline,
            [
                unit.block.text
                for unit, kind in zip(article.members, article.kinds(), strict=True)
                if kind != "headline"
            ],
        )
        for article in group(units, one_article)
    ]


def test_kicker_title_and_subtitle_are_one_headline() -> None:
    units = [
        heading("党建引领聚合力"),
        heading("乡村振兴谱新篇"),
        heading("——某镇工作纪实"),
        body("近日，某镇召开会议。"),
    ]
    assert grouped(units) == [("党建引领聚合力 乡村振兴谱新篇 ——某镇工作纪实", ["近日，某镇召开会议。"])]


def test_a_dateline_after_headings_begins_an_article() -> None:
    units = [
        heading("安全生产会议召开"),
        body("会议要求排查隐患。", dateline=True),
        heading("电商大集开市"),
        body("村民们在直播间卖货。", dateline=True),
    ]
    assert grouped(units) == [
        ("安全生产会议召开", ["会议要求排查隐患。"]),
        ("电商大集开市", ["村民们在直播间卖货。"]),
    ]


def test_a_heading_inside_an_article_is_a_subheading() -> None:
    units = [heading("总标题在这里"), body("第一段。"), heading("小标题"), body("第二段。")]
    (article,) = group(units, one_article=False)
    assert article.kinds() == ["headline", "paragraph", "subheading", "paragraph"]


def test_headlines_printed_behind_their_articles_are_handed_back() -> None:
    units = [
        body("会议要求各地开展安全生产检查。", dateline=True, signed=True),
        heading("安全生产检查"),
        body("直播电商助农活动在马集镇举行。", dateline=True, signed=True),
        heading("直播电商助农"),
    ]
    assert grouped(units) == [
        ("安全生产检查", ["会议要求各地开展安全生产检查。"]),
        ("直播电商助农", ["直播电商助农活动在马集镇举行。"]),
    ]


def test_two_signed_texts_are_split_at_the_heading_between_them() -> None:
    units = [
        heading("安全生产会议召开"),
        body("安全生产会议要求排查隐患。", signed=True),
        heading("电商大集开市了"),
        body("电商大集上村民直播卖货。", signed=True),
    ]
    assert [headline for headline, _ in grouped(units)] == ["安全生产会议召开", "电商大集开市了"]


def test_an_html_page_is_one_article() -> None:
    units = [
        heading("大标题"),
        body("一。", dateline=True, signed=True),
        heading("小标题"),
        body("二。", dateline=True),
    ]
    assert len(group(units, one_article=True)) == 1


def test_a_section_number_a_name_and_what_stands_below_the_date_line_are_no_title() -> None:
    units = [
        heading("市委员会常务委员会工作报告"),
        heading("王卫东"),
        furniture("date line"),
        heading("去年主要工作回顾"),
        heading("一、强化理论武装"),
        body("坚持学习。"),
    ]
    assert grouped(units)[0][0] == "市委员会常务委员会工作报告"
    assert grouped([heading("工作报告"), heading("一、强化理论武装"), body("坚持学习。")])[0][0] == "工作报告"


def test_a_site_name_above_the_date_line_does_not_hide_the_title() -> None:
    units = [heading("某某新闻网"), furniture("date line"), heading("全市电商大会今日隆重召开"), body("大会召开。")]
    assert grouped(units)[0][0] == "某某新闻网 全市电商大会今日隆重召开"


def test_nothing_gives_no_article() -> None:
    assert group([], one_article=False) == []
    assert group([furniture("byline")], one_article=True) == []
