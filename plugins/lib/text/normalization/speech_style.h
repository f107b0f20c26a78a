// How written English is read out: the conventions in which corpora and programs differ.
#pragma once

#include <string_view>

namespace fathom::text {

struct SpeechStyle {
  bool hyphens = true;          // "twenty-one"; else "twenty one"
  bool hundred_and = false;     // "one hundred and five" in the last group of a number; else "one hundred five"
  bool thousand_commas = true;  // "two thousand, five hundred" of what is written 2,500
  bool teen_hundreds = true;    // 1,500 is "fifteen hundred"; of years this is always so
  bool ordinal_days = false;    // "January third"; else "January three"
  bool lower_months = false;    // "january"
  bool clock_colon = true;      // 12:30 is "twelve:thirty"; else "twelve thirty"
  bool label_pairs = true;    // page 249, No. 133: "two forty-nine"; in 605: "six oh five"; a .38 rifle: "thirty-eight"
  bool numeral_stops = true;  // "Charles I." ends with its numeral: the full stop is no end of a sentence
  // Numbers of four digits without a comma from the first to the last of these are read as years are, and where they
  // count something all the same ("1308 prisoners") only if `counts_years`.
  std::string_view first_year = "1010", last_year = "2099";
  bool counts_years = false;
  bool spelled_serials = true;  // C2766 is "C two seven six six"; else "C two thousand seven hundred sixty six"
  bool titles = false;          // "mister Smith", "doctor", "etcetera"; else such abbreviations stay for the dictionary
  bool long_digits = false;     // five digits or more without commas are read digit by digit
  bool any_case = false;        // months and titles are known in lower case too ("january 5", "mr. smith")
  bool address_digits = true;   // 214 Neely Street: "two one four Neely Street"
  std::string_view oh = "oh";   // the zero of "nineteen oh five"
  std::string_view minute_oh = "oh";    // the zero of 2:05
  std::string_view cents_after = ", ";  // between "five dollars" and "ten cents"
};

// As the people who wrote down LJSpeech (Ito and Johnson 2017) did in its normalised transcripts, on which this
// project's English recipes train: what is punctuation stays, "p.m." and "Mr." are left to the dictionary.
inline constexpr SpeechStyle kLjSpeechStyle{};
// As nemo_text_processing 1.1 does for English with its defaults.
inline constexpr SpeechStyle kNemoStyle{.hyphens = false,
                                        .hundred_and = true,
                                        .thousand_commas = false,
                                        .teen_hundreds = false,
                                        .ordinal_days = true,
                                        .lower_months = true,
                                        .clock_colon = false,
                                        .label_pairs = false,
                                        .numeral_stops = false,
                                        .first_year = "1000",
                                        .last_year = "2999",
                                        .counts_years = true,
                                        .spelled_serials = false,
                                        .titles = true,
                                        .long_digits = true,
                                        .address_digits = false,
                                        .oh = "oh",
                                        .minute_oh = "o",
                                        .cents_after = " "};

}  // namespace fathom::text
