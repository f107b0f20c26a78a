#include <array>

#include "plugins/lib/text/normalization/normalization_rules.h"
#include "plugins/lib/text/normalization/spoken_numbers.h"

namespace fathom::text {
namespace {

struct Currency {
  std::string_view sign, one, many, cent, cents;
};
// The longer signs first.
constexpr std::array<Currency, 20> kCurrencies = {{
    {"US$", "US dollar", "US dollars", "cent", "cents"},
    {"HK$", "Hong Kong dollar", "Hong Kong dollars", "cent", "cents"},
    {"NZ$", "New Zealand dollar", "New Zealand dollars", "cent", "cents"},
    {"C$", "Canadian dollar", "Canadian dollars", "cent", "cents"},
    {"A$", "Australian dollar", "Australian dollars", "cent", "cents"},
    {"R$", "real", "reais", "centavo", "centavos"},
    {"$", "dollar", "dollars", "cent", "cents"},
    {"£", "pound", "pounds", "penny", "pence"},
    {"€", "euro", "euros", "cent", "cents"},
    {"¥", "yen", "yen", "sen", "sen"},
    {"₹", "rupee", "rupees", "paisa", "paise"},
    {"₩", "won", "won", "jeon", "jeon"},
    {"₽", "ruble", "rubles", "kopek", "kopeks"},
    {"₺", "lira", "liras", "kurus", "kurus"},
    {"₪", "shekel", "shekels", "agora", "agorot"},
    {"₫", "dong", "dong", "xu", "xu"},
    {"₴", "hryvnia", "hryvnias", "kopiyka", "kopiykas"},
    {"₦", "naira", "naira", "kobo", "kobo"},
    {"₱", "peso", "pesos", "centavo", "centavos"},
    {"฿", "baht", "baht", "satang", "satang"},
}};

struct Scale {
  std::string_view written, spoken;
};
constexpr std::array<Scale, 9> kGluedScales = {{{"bn", "billion"},
                                                {"tn", "trillion"},
                                                {"mn", "million"},
                                                {"M", "million"},
                                                {"m", "million"},
                                                {"B", "billion"},
                                                {"b", "billion"},
                                                {"K", "thousand"},
                                                {"k", "thousand"}}};
constexpr std::array<std::string_view, 5> kScaleWords = {"million", "billion", "trillion", "thousand", "hundred"};

// "million" behind a number: returns where it ends and appends it to `out`.
size_t add_scale(const WrittenText& text, size_t at, std::string& out) {
  for (const auto& [written, spoken] : kGluedScales) {
    if (text.starts(at, written) && text.ends_word(at + written.size())) {
      out += " " + std::string(spoken);
      return at + written.size();
    }
  }
  const size_t word = text.blanks_end(at);
  for (const std::string_view scale : kScaleWords) {
    if (word > at && text.starts(word, scale) && text.ends_word(word + scale.size())) {
      out += " " + std::string(scale);
      return word + scale.size();
    }
  }
  return at;
}

std::string amount_words(const WrittenNumber& number, const SpeechStyle& style) {
  const bool teens = style.teen_hundreds && number.digits.size() == 4 && number.digits[0] == '1' &&
                     number.digits[1] != '0' && number.digits.ends_with("00");
  return teens ? year_words(number.digits, style) : cardinal_words(number.digits, style, number.commas);
}

bool all_zeros(std::string_view digits) { return digits.find_first_not_of('0') == std::string_view::npos; }

std::string money_words(const WrittenNumber& number, const Currency& currency, const SpeechStyle& style) {
  const auto whole = [&] {
    return amount_words(number, style) + " " + std::string(number.digits == "1" ? currency.one : currency.many);
  };
  if (number.fraction.empty() || all_zeros(number.fraction)) {
    if (!number.digits.empty()) return whole();
  } else if (number.fraction.size() == 2) {
    const std::string cents = cardinal_words(number.fraction, style) + " " +
                              std::string(number.fraction == "01" ? currency.cent : currency.cents);
    return number.digits.empty() || all_zeros(number.digits) ? cents : whole() + std::string(style.cents_after) + cents;
  }
  return decimal_words(number.digits, number.fraction, style, number.commas) + " " + std::string(currency.many);
}

std::string plain_words(const WrittenNumber& number, const SpeechStyle& style) {
  if (!number.fraction.empty()) return decimal_words(number.digits, number.fraction, style, number.commas);
  return amount_words(number, style);
}

const Currency* currency_at(const WrittenText& text, size_t at) {
  for (const Currency& currency : kCurrencies) {
    if (text.starts(at, currency.sign)) return &currency;
  }
  return nullptr;
}

}  // namespace

std::optional<Reading> read_money(const WrittenText& text, size_t at, const SpeechStyle& style) {
  const bool minus = text[at] == '-';
  const Currency* currency = currency_at(text, at + (minus ? 1 : 0));
  if (currency == nullptr) {
    // 5¢, 5€
    const auto number = text.number_at(at);
    if (!number) return std::nullopt;
    if (text.starts(number->end, "¢")) {
      return Reading{
          number->end + std::string_view("¢").size(),
          plain_words(*number, style) + (number->digits == "1" && number->fraction.empty() ? " cent" : " cents")};
    }
    currency = currency_at(text, number->end);
    if (currency == nullptr || is_ascii_letter(currency->sign[0]) ||
        is_digit(text[number->end + currency->sign.size()]))
      return std::nullopt;
    return Reading{number->end + currency->sign.size(), money_words(*number, *currency, style)};
  }
  const size_t begin = at + (minus ? 1 : 0) + currency->sign.size();
  const auto number = text.number_at(text.skip_blank(begin));
  if (!number) return std::nullopt;
  std::string scale;
  size_t end = add_scale(text, number->end, scale);
  if (text.in_word(end)) return std::nullopt;  // "$5x"
  const size_t dash = text.dash_end(end);
  // $5-10 million, $5-$10
  if (dash > end) {
    const auto last = text.number_at(dash);
    if (last) {
      std::string last_scale;
      const size_t last_end = add_scale(text, last->end, last_scale);
      if (last->is_whole_word || last_end > last->end) {
        return Reading{last_end, plain_words(*number, style) + scale + " to " + plain_words(*last, style) + last_scale +
                                     " " + std::string(currency->many)};
      }
    } else if (text.starts(dash, currency->sign) && text.number_at(dash + currency->sign.size())) {
      if (const auto second = read_money(text, dash, style)) {
        return Reading{second->end, money_words(*number, *currency, style) + " to " + second->spoken};
      }
    }
  }
  std::string out = minus ? "minus " : "";
  out += scale.empty() ? money_words(*number, *currency, style)
                       : plain_words(*number, style) + scale + " " + std::string(currency->many);
  return Reading{end, out};
}

}  // namespace fathom::text
