// The rules of the English text normaliser, one for each kind of thing that is written in figures and signs. A rule is
// asked at the first byte of what it may read, which no word continues from before; it says where the reading ends
// and what is spoken, or nothing. Rules look at the words around to decide, and change nothing there. What kinds there
// are is the semiotic classes of Ebden and Sproat, "The Kestrel TTS text normalization system" (2015).
#pragma once

#include <optional>
#include <string>

#include "plugins/lib/text/normalization/speech_style.h"
#include "plugins/lib/text/normalization/written_text.h"

namespace fathom::text {

struct Reading {
  size_t end = 0;  // the first byte that was not read
  std::string spoken;
};

using NormalizationRule = std::optional<Reading> (*)(const WrittenText& text, size_t at, const SpeechStyle& style);

// me@there.org, https://there.org/a, www.there.org, there.org
std::optional<Reading> read_electronic(const WrittenText& text, size_t at, const SpeechStyle& style);
// January 3, 1999; 3 January; the 3rd of January; 1999-01-03; 1/3/1999; 1990s; '63; 484 B.C.; 1914-1918
std::optional<Reading> read_date(const WrittenText& text, size_t at, const SpeechStyle& style);
// (555) 010-0000; +1 555 010 0000; 127.0.0.1
std::optional<Reading> read_telephone(const WrittenText& text, size_t at, const SpeechStyle& style);
// 2:30 p.m.; 14:05; 5pm; 2:00:15
std::optional<Reading> read_time(const WrittenText& text, size_t at, const SpeechStyle& style);
// $2.50; £4000; €1.5 million; US$5; 5¢; $5-$10
std::optional<Reading> read_money(const WrittenText& text, size_t at, const SpeechStyle& style);
// 10 km; 10-12 km; 5.5%; 32 °C; 5'10"
std::optional<Reading> read_measure(const WrittenText& text, size_t at, const SpeechStyle& style);
// 3/4; 2 1/2; ½
std::optional<Reading> read_fraction(const WrittenText& text, size_t at, const SpeechStyle& style);
// 21st
std::optional<Reading> read_ordinal(const WrittenText& text, size_t at, const SpeechStyle& style);
// Box 2915; No. 133-A; page 249; 214 Neely Street
std::optional<Reading> read_label(const WrittenText& text, size_t at, const SpeechStyle& style);
// C2766; B2B; F-16
std::optional<Reading> read_serial(const WrittenText& text, size_t at, const SpeechStyle& style);
// 1,234; -5; 3.14; 2-3; 2010
std::optional<Reading> read_number(const WrittenText& text, size_t at, const SpeechStyle& style);
// Chapter IV; George III; World War II
std::optional<Reading> read_roman(const WrittenText& text, size_t at, const SpeechStyle& style);
// Mr.; etc.; U.S.A.; No. 5
std::optional<Reading> read_abbreviation(const WrittenText& text, size_t at, const SpeechStyle& style);
// &, %, #5, =, +
std::optional<Reading> read_symbol(const WrittenText& text, size_t at, const SpeechStyle& style);

}  // namespace fathom::text
