"""Texts that have told right from wrong text models apart.

Converters map ``\\w`` to ASCII, lower ``İ`` to one character, keep one-letter words that the source
drops, and treat tabs as letters: each line is here for one such difference.
"""

from __future__ import annotations

TEXTS = (
    "the quick brown fox jumps over the lazy dog",
    "It's a test. Don't stop! Really, don't.",
    "don't stop",
    "a b c d e f g",
    "I am a C++ and C# developer, 2 of 3 use R",
    "UPPER lower MiXeD under_score kebab-case snake_case_2",
    "numbers 1 22 333 4.5 6,789 0x1F 1e-5 50% $100",
    "email@example.com https://example.com/a?b=c#d @user #tag",
    "naïve café résumé façade über straße Ærøskøbing",
    "cafe\u0301 nai\u0308ve decomposed accents",
    "İstanbul ısı DİYARBAKIR ŞIŞLİ",
    "Привет мир, как дела? Ёлка",
    "Γειά σου Κόσμε ΟΔΟΣ",
    "東京は日本の首都です。",
    "你好 世界 中文 分词 测试",
    "안녕하세요 세계",
    "مرحبا بالعالم ٣٤٥",
    "שלום עולם",
    "नमस्ते दुनिया",
    "สวัสดีชาวโลก",
    "emoji 😀 👍🏽 👩‍👩‍👧 🇩🇪 end",
    "tabs\tand\nnew\r\nlines  and   many    spaces",
    "  leading and trailing  ",
    "non\u00a0breaking\u2003em\u200bzero\u3000wide",
    "“quotes” ‘single’ — dash … ellipsis",
    "ﬁ ligature Ⅷ roman ① circled ½ half ﬀ ＦＵＬＬ",
    "!!! ??? ... --- ***",
    "x",
    " ",
    "",
    "word",
    "repeat repeat repeat repeat repeat",
    "<b>html</b> &amp; <br/> {json: [1, 2]}",
)

UNKNOWN_CATEGORIES = ("unseen \u2603", "", "Ünbekannt", "nan")
