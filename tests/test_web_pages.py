from data.blocks import text_at
from data.web_pages import html_blocks

PAGE = """<!DOCTYPE html>
<html><head><title>石埠县开网店</title><script>var 文字 = "不算";</script></head>
<body><nav><a href="/">首页</a> <a href="/n">新闻</a></nav>
<div><h1>石埠县农民<br>开起了网店</h1>
<p>&nbsp;&nbsp;近日，<b>石埠县</b>的农民&ldquo;新手&rdquo;开了网店，A&amp;B公司提供支持，生意很好，收入增加。</p>
<p>当地政府组织了多场培训，邀请专家讲解直播技巧，帮助村民把土特产卖到全国各地。</p></div>
<aside><h3>您可能还想看看这些</h3><a>某地举行龙舟赛，观众有数万人到场</a></aside>
<footer>版权所有 石埠县</footer></body></html>"""


def test_printed_lines_with_levels_and_reasons() -> None:
    assert [(block.text, block.level, block.reason) for block in html_blocks(PAGE)] == [
        ("首页 新闻", None, "navigation"),
        ("石埠县农民开起了网店", 1, None),
        ("近日，石埠县的农民“新手”开了网店，A&B公司提供支持，生意很好，收入增加。", None, None),
        ("当地政府组织了多场培训，邀请专家讲解直播技巧，帮助村民把土特产卖到全国各地。", None, None),
        ("您可能还想看看这些", 3, "outside the article"),
        ("某地举行龙舟赛，观众有数万人到场", None, "outside the article"),
        ("版权所有 石埠县", None, "footer"),
    ]


def test_spans_point_into_the_source_as_it_was() -> None:
    lead = html_blocks(PAGE)[2]
    assert [PAGE[start:end] for start, end in lead.spans] == [
        "近日，",
        "石埠县",
        "的农民&ldquo;新手&rdquo;开了网店，A&amp;B公司提供支持，生意很好，收入增加。",
    ]


def test_spans_count_characters_whatever_the_line_ends() -> None:
    source = PAGE.replace("\n", "\r\n").replace("石埠县", "石埠县🔥")
    for block in html_blocks(source):
        assert text_at(source, block.spans, is_html=True) == block.text
    assert source[slice(*html_blocks(source)[1].spans[0])] == "石埠县🔥农民"


def test_script_style_and_comments_are_not_printed() -> None:
    source = "<style>p{}</style><!-- 注释 --><p>正文</p><script>x='文'</script><template>藏</template>"
    assert [block.text for block in html_blocks(source)] == ["正文"]


def test_damaged_html_is_still_read() -> None:
    source = "<p>第一段没有关上<p>第二段</div></b><ul><li>条目<li>又一条 &bogus; &#x110000; &#xD800;"
    texts = [block.text for block in html_blocks(source)]
    assert texts[:3] == ["第一段没有关上", "第二段", "条目"]


def test_no_text_gives_no_block() -> None:
    assert html_blocks("") == []
    assert html_blocks("<html><body>&nbsp;<br></body></html>") == []
