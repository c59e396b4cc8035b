from markupsafe import Markup, escape, escape_silent, soft_str

from ftcheck import concurrently


class Page:
    def __html__(self):
        return "<p>"


def test_threads_escape_the_same_text():
    texts = ["<a href='x'>&</a>" * 5, "\u00e9<\u00e8>" * 20, "\u4e2d<\u6587>" * 20, "\U0001f600<&>" * 20, "nothing to do"]
    expected = [str(escape(text)) for text in texts]
    page = Page()

    def work():
        for _ in range(20):
            assert [str(escape(text)) for text in texts] == expected
            escape(page), escape(12), escape_silent(None), soft_str(Markup("<")), Markup("%s") % "<"

    concurrently(work, work)
