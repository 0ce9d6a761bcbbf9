import pytest

from serving.summary.origins import NO_FOLDER, UNKNOWN, month_of, source_of


@pytest.mark.parametrize(
    ("article", "source"),
    [
        ("人民日报/2024/05/03/要闻.txt", "人民日报"),
        ("archive/2024-05/日报/a.html", "archive/日报"),
        ("/data/晚报/2024年5月/a.txt", "/data/晚报"),
        ("archive/第3版/a.txt", "archive/第3版"),
        ("2024/a.txt", NO_FOLDER),
        ("a.txt", NO_FOLDER),
        ("request", NO_FOLDER),
        ("in/2024/weekly.jsonl", "weekly.jsonl"),
        ("in/weekly.CSV.gz", "weekly.CSV.gz"),
        ("in/weekly.parquet", "weekly.parquet"),
    ],
)
def test_the_source_is_the_folder_without_dates_or_the_table(article: str, source: str) -> None:
    assert source_of(article) == source


@pytest.mark.parametrize(
    ("text", "month"),
    [
        ("2024-05-03", "2024-05"),
        ("2024-05", "2024-05"),
        ("20240503", "2024-05"),
        ("rmrb20240503_12", "2024-05"),
        ("2024年5月3日", "2024-05"),
        ("2024年12月", "2024-12"),
        ("2024年05月", "2024-05"),
        ("日报/2024/05/a.txt#7", "2024-05"),
        ("2024/5/3/a.txt", "2024-05"),
        ("2024.05.03", "2024-05"),
        ("2024_05_03", "2024-05"),
        ("1999-12-31", "1999-12"),
        # The last one is the nearest to the paragraph.
        ("archive-2023-01/2024-05-03.txt", "2024-05"),
        ("2024/05/20240611.txt", "2024-06"),
        ("2024_1.txt", UNKNOWN),
        ("2024-13-01", UNKNOWN),
        ("20241301", UNKNOWN),
        ("20240532", UNKNOWN),
        ("120240503", UNKNOWN),
        ("202405031", UNKNOWN),
        ("1714694400", UNKNOWN),
        ("2024-5", UNKNOWN),
        ("2024", UNKNOWN),
        ("1824-05-03", UNKNOWN),
        ("seeds/000_aad4990d4805cd59.txt#0", UNKNOWN),
        ("", UNKNOWN),
    ],
)
def test_the_month_is_that_of_the_last_date(text: str, month: str) -> None:
    assert month_of(text, "") == month
    assert month_of("p1", text) == month


def test_the_id_is_nearer_than_the_article() -> None:
    assert month_of("2024-06-01-a", "in/tags-2023-01.jsonl") == "2024-06"
    assert month_of("a", "in/tags-2023-01.jsonl") == "2023-01"
