#include "serve/dialects/html_text.h"

#include <gtest/gtest.h>

namespace pagoda::serve {
namespace {

TEST(HtmlText, EntitiesBecomeCharacters) {
  EXPECT_EQ(plain_text_of_html("Tom &amp; Jerry &lt;3 &quot;x&quot; it&#39;s &#x4F60;&nbsp;!"),
            "Tom & Jerry <3 \"x\" it's 你\xC2\xA0!");
  EXPECT_EQ(plain_text_of_html("a < b && c; AT&T &; & amp;"), "a < b && c; AT&T &; & amp;");
  EXPECT_EQ(plain_text_of_html(""), "");
  EXPECT_EQ(plain_text_of_html("&"), "&");
  EXPECT_EQ(plain_text_of_html("<"), "<");
  EXPECT_EQ(plain_text_of_html("a <b, c </d <!-- e"), "a <b, c </d <!-- e");
}

TEST(HtmlText, MarkupIsNoPlainText) {
  for (const char* html : {"<b>x</b>", "x</b>", "<br/>", "<!-- x -->", "<?php ?>", "&eacute;", "&#xD800;",
                           "&#0;", "&#1114112;", "&#99999999999;", "&#12a;", "&#x;"})
    EXPECT_FALSE(plain_text_of_html(html)) << html;
}

TEST(HtmlText, WhatIsTextStaysTextInHtml) {
  EXPECT_EQ(html_of_plain_text("a < b & \"c\" > d"), "a &lt; b &amp; \"c\" &gt; d");
  EXPECT_EQ(plain_text_of_html(html_of_plain_text("<b>&amp;</b>")), "<b>&amp;</b>");
}

}  // namespace
}  // namespace pagoda::serve
