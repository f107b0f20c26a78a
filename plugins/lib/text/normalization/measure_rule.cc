#include <algorithm>
#include <array>

#include "plugins/lib/text/normalization/normalization_rules.h"
#include "plugins/lib/text/normalization/spoken_numbers.h"

namespace fathom::text {
namespace {

struct Unit {
  std::string_view written, one, many;
  bool can_be_raised = false;  // m², m3
};
// Longer ones before those that begin them. Units that are words as well ("in", "A", "K", "t") are not here.
constexpr std::array kUnits = std::to_array<Unit>({
    {"sq. ft.", "square foot", "square feet"},
    {"sq. ft", "square foot", "square feet"},
    {"sq ft", "square foot", "square feet"},
    {"sq mi", "square mile", "square miles"},
    {"sq km", "square kilometer", "square kilometers"},
    {"sq m", "square meter", "square meters"},
    {"fl oz", "fluid ounce", "fluid ounces"},
    {"°C", "degree Celsius", "degrees Celsius"},
    {"°F", "degree Fahrenheit", "degrees Fahrenheit"},
    {"ºC", "degree Celsius", "degrees Celsius"},
    {"ºF", "degree Fahrenheit", "degrees Fahrenheit"},
    {"°", "degree", "degrees"},
    {"º", "degree", "degrees"},
    {"%", "percent", "percent"},
    {"‰", "per mille", "per mille"},
    {"mph", "mile per hour", "miles per hour"},
    {"kph", "kilometer per hour", "kilometers per hour"},
    {"kmph", "kilometer per hour", "kilometers per hour"},
    {"mpg", "mile per gallon", "miles per gallon"},
    {"rpm", "revolution per minute", "revolutions per minute"},
    {"bpm", "beat per minute", "beats per minute"},
    {"fps", "frame per second", "frames per second"},
    {"kbps", "kilobit per second", "kilobits per second"},
    {"Kbps", "kilobit per second", "kilobits per second"},
    {"Mbps", "megabit per second", "megabits per second"},
    {"Gbps", "gigabit per second", "gigabits per second"},
    {"kg", "kilogram", "kilograms"},
    {"mg", "milligram", "milligrams"},
    {"µg", "microgram", "micrograms"},
    {"g", "gram", "grams"},
    {"lbs", "pound", "pounds"},
    {"lb", "pound", "pounds"},
    {"oz", "ounce", "ounces"},
    {"km", "kilometer", "kilometers", true},
    {"cm", "centimeter", "centimeters", true},
    {"mm", "millimeter", "millimeters", true},
    {"µm", "micrometer", "micrometers"},
    {"nm", "nanometer", "nanometers"},
    {"m", "meter", "meters", true},
    {"mi", "mile", "miles", true},
    {"ft", "foot", "feet", true},
    {"yd", "yard", "yards", true},
    {"yds", "yard", "yards"},
    {"ha", "hectare", "hectares"},
    {"ml", "milliliter", "milliliters"},
    {"mL", "milliliter", "milliliters"},
    {"cl", "centiliter", "centiliters"},
    {"dl", "deciliter", "deciliters"},
    {"l", "liter", "liters"},
    {"L", "liter", "liters"},
    {"gal", "gallon", "gallons"},
    {"cc", "cubic centimeter", "cubic centimeters"},
    {"hrs", "hour", "hours"},
    {"hr", "hour", "hours"},
    {"h", "hour", "hours"},
    {"mins", "minute", "minutes"},
    {"min", "minute", "minutes"},
    {"secs", "second", "seconds"},
    {"sec", "second", "seconds"},
    {"ms", "millisecond", "milliseconds"},
    {"µs", "microsecond", "microseconds"},
    {"ns", "nanosecond", "nanoseconds"},
    {"s", "second", "seconds"},
    {"THz", "terahertz", "terahertz"},
    {"GHz", "gigahertz", "gigahertz"},
    {"MHz", "megahertz", "megahertz"},
    {"kHz", "kilohertz", "kilohertz"},
    {"Hz", "hertz", "hertz"},
    {"GB", "gigabyte", "gigabytes"},
    {"MB", "megabyte", "megabytes"},
    {"KB", "kilobyte", "kilobytes"},
    {"kB", "kilobyte", "kilobytes"},
    {"TB", "terabyte", "terabytes"},
    {"PB", "petabyte", "petabytes"},
    {"kWh", "kilowatt hour", "kilowatt hours"},
    {"GW", "gigawatt", "gigawatts"},
    {"MW", "megawatt", "megawatts"},
    {"kW", "kilowatt", "kilowatts"},
    {"mW", "milliwatt", "milliwatts"},
    {"W", "watt", "watts"},
    {"kV", "kilovolt", "kilovolts"},
    {"mV", "millivolt", "millivolts"},
    {"V", "volt", "volts"},
    {"mA", "milliampere", "milliamperes"},
    {"mAh", "milliampere hour", "milliampere hours"},
    {"kΩ", "kiloohm", "kiloohms"},
    {"Ω", "ohm", "ohms"},
    {"kJ", "kilojoule", "kilojoules"},
    {"kcal", "kilocalorie", "kilocalories"},
    {"cal", "calorie", "calories"},
    {"eV", "electron volt", "electron volts"},
    {"hPa", "hectopascal", "hectopascals"},
    {"kPa", "kilopascal", "kilopascals"},
    {"Pa", "pascal", "pascals"},
    {"psi", "pound per square inch", "pounds per square inch"},
    {"dB", "decibel", "decibels"},
    {"mol", "mole", "moles"},
    {"hp", "horsepower", "horsepower"},
    {"px", "pixel", "pixels"},
    {"lm", "lumen", "lumens"},
});
// Of these a blank before the unit is needed, or must not be there: "1980s", "5s", "5 V".
bool needs_blank(std::string_view unit) { return one_of(unit, {"s", "h", "V", "W", "L", "l"}); }

struct UnitMatch {
  size_t end = 0;
  std::string one, many;
};

std::optional<UnitMatch> plain_unit_at(const WrittenText& text, size_t at) {
  const Unit* best = nullptr;
  UnitMatch match;
  for (const Unit& unit : kUnits) {
    if ((best != nullptr && unit.written.size() < best->written.size()) || !text.starts(at, unit.written)) continue;
    size_t end = at + unit.written.size();
    std::string_view power;
    if (unit.can_be_raised) {
      for (const auto& [sign, name] : {std::pair<std::string_view, std::string_view>{"²", "square "},
                                       {"³", "cubic "},
                                       {"2", "square "},
                                       {"3", "cubic "}}) {
        if (!text.starts(end, sign) || text.in_word(end + sign.size())) continue;
        power = name;
        end += sign.size();
        break;
      }
    }
    const bool is_sign = !text.in_word(end - 1);
    if (!is_sign && text.in_word(end)) continue;
    best = &unit;
    match = {end, std::string(power) + std::string(unit.one), std::string(power) + std::string(unit.many)};
  }
  return best == nullptr ? std::nullopt : std::optional(match);
}

// "km", "km/h", "kg/m3"
std::optional<UnitMatch> unit_at(const WrittenText& text, size_t at) {
  auto unit = plain_unit_at(text, at);
  if (!unit || text[unit->end] != '/') return unit;
  if (const auto per = plain_unit_at(text, unit->end + 1)) {
    unit->end = per->end;
    unit->one += " per " + per->one;
    unit->many += " per " + per->one;
  }
  return unit;
}

std::string quantity_words(const WrittenNumber& number, const SpeechStyle& style) {
  if (!number.fraction.empty()) return decimal_words(number.digits, number.fraction, style, number.commas);
  return cardinal_words(number.digits, style, number.commas);
}

// An opening quotation mark before `at` that none has closed.
bool in_quotation(const WrittenText& text, size_t at) {
  bool open = false;
  // Further back it is another sentence's.
  for (size_t i = at - std::min<size_t>(at, 1000); i < at; ++i) open = text[i] == '"' ? !open : open;
  return open;
}

// 5'10", 28"
std::optional<Reading> feet_and_inches(const WrittenText& text, size_t at, const SpeechStyle& style) {
  const auto number = text.number_at(at);
  if (!number) return std::nullopt;
  const auto sign_end = [&](size_t sign, std::string_view ascii, std::string_view prime) {
    return text.starts(sign, ascii) ? sign + ascii.size() : text.starts(sign, prime) ? sign + prime.size() : sign;
  };
  const auto said = [&](const WrittenNumber& of, std::string_view one, std::string_view many) {
    return quantity_words(of, style) + " " + std::string(of.digits == "1" && of.fraction.empty() ? one : many);
  };
  const size_t feet = sign_end(number->end, "'", "′");
  if (feet > number->end) {
    const auto inches = text.number_at(text.skip_blank(feet));
    if (!inches) return std::nullopt;
    const size_t end = sign_end(inches->end, "\"", "″");
    if (end == inches->end) return std::nullopt;
    return Reading{end, said(*number, "foot", "feet") + " " + said(*inches, "inch", "inches")};
  }
  const size_t end = sign_end(number->end, "\"", "″");
  if (end == number->end || text.in_word(end) || in_quotation(text, at)) return std::nullopt;
  return Reading{end, said(*number, "inch", "inches")};
}

}  // namespace

std::optional<Reading> read_measure(const WrittenText& text, size_t at, const SpeechStyle& style) {
  const bool minus = (text[at] == '-' || text.starts(at, "−")) && text.begins_word(at) &&
                     (at == 0 || is_blank(text[at - 1]) || text[at - 1] == '(');
  const size_t begin = at + (!minus ? 0 : text[at] == '-' ? 1 : std::string_view("−").size());
  if (!is_digit(text[begin]) && text[begin] != '.') return std::nullopt;
  if (!minus) {
    if (auto reading = feet_and_inches(text, at, style)) return reading;
  }
  const auto number = text.number_at(begin);
  if (!number) return std::nullopt;
  std::string out = std::string(minus ? "minus " : "") + quantity_words(*number, style);
  bool is_one = number->digits == "1" && number->fraction.empty();
  size_t end = number->end;
  if (const size_t dash = text.dash_end(end); dash > end) {
    const auto last = text.number_at(dash);
    if (!last) return std::nullopt;
    out += " to " + quantity_words(*last, style);
    is_one = false;
    end = last->end;
  }
  const size_t unit_begin = text.skip_blank(end);
  const auto unit = unit_at(text, unit_begin);
  if (!unit) return std::nullopt;
  if (unit_begin == end && needs_blank(text.part(unit_begin, unit->end))) return std::nullopt;
  out += " " + (is_one ? unit->one : unit->many);
  end = unit->end;
  // 5%-10%, 5 km-10 km
  if (const size_t dash = text.dash_end(end); dash > end && is_digit(text[dash])) {
    if (const auto last = read_measure(text, dash, style)) return Reading{last->end, out + " to " + last->spoken};
  }
  if (text.in_word(end)) out += " ";  // 45°N
  return Reading{end, out};
}

}  // namespace fathom::text
