#include "core/typing/axis.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fathom/error.h"

namespace fathom::typing {
namespace {

using testing::HasSubstr;

TEST(Axis, labels_ignore_case_and_unicode_blanks) {
  EXPECT_EQ(axis_kind_from_label("N"), AxisKind::kBatch);
  EXPECT_EQ(axis_kind_from_label(" Channel\t"), AxisKind::kDimension);
  EXPECT_EQ(axis_kind_from_label("\xc2\xa0"
                                 "b"
                                 "\xe3\x80\x80\xe2\x80\xa9"),
            AxisKind::kBatch);
  EXPECT_EQ(axis_kind_from_label("T_src"), AxisKind::kTime);
  EXPECT_EQ(axis_kind_from_label("t_ x"), AxisKind::kTime);
  for (const char* wrong : {"", " ", "t_", "t_ ", "dimension", "dim", "bt", "\xc2", "\xe2\x80"}) {
    EXPECT_FALSE(find_axis_kind(wrong)) << wrong;
  }
}

TEST(Axis, an_unknown_label_names_the_nearest) {
  try {
    axis_kind_from_label("chanel");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), Code::kBadData);
    EXPECT_THAT(error.candidates(), HasSubstr("channel"));
    EXPECT_EQ(error.seen(), "'chanel'");
  }
  try {
    axis_kind_from_label("dimension");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.candidates(), "d");
  }
}

TEST(Axis, every_kind_is_found_again_by_its_label_and_printed_form) {
  for (int i = 0; i <= 8; ++i) {
    const auto kind = static_cast<AxisKind>(i);
    EXPECT_EQ(axis_kind_from_label(axis_kind_label(kind)), kind);
    EXPECT_EQ(parse_axis(Axis{kind, 7, false}.repr()).kind, kind);
    EXPECT_EQ(parse_axis(Axis{kind, 7, false}.repr()).size, 7);
    EXPECT_TRUE(parse_axis(Axis{kind, std::nullopt, true}.repr()).is_list);
  }
}

TEST(Axis, registered_kinds_meet_by_name_and_leave_built_in_labels_alone) {
  const AxisKind codebook = register_axis_kind("Codebook", "plugin_a");
  EXPECT_EQ(register_axis_kind("Codebook", "plugin_b"), codebook);
  EXPECT_EQ(axis_kind_from_label("Codebook"), codebook);
  EXPECT_FALSE(find_axis_kind("codebook"));
  EXPECT_EQ(axis_kind_name(codebook), "Codebook");
  EXPECT_NE(register_axis_kind("Speaker", "plugin_a"), codebook);
  for (const char* wrong : {"", "B", "batch", "dimension", "t_x", "a b", "x:1", "x_listdim", "a,b", "\xff"}) {
    EXPECT_THROW(register_axis_kind(wrong, "plugin_a"), Error) << wrong;
  }
}

TEST(Axis, text_of_several_axes) {
  const auto axes = parse_axes(" B D:80  T ");
  ASSERT_EQ(axes.size(), 3u);
  EXPECT_EQ(axes[1].repr(), "dimension:80");
  EXPECT_TRUE(parse_axes("").empty());
  EXPECT_EQ(parse_axes("B_listdim T")[0].repr(), "batch_listdim");
  EXPECT_THROW(parse_axes("B T_listdim"), Error);
  EXPECT_THROW(parse_axes("B:x"), Error);
  EXPECT_THROW(parse_axes("B:99999999999999999999"), Error);
  EXPECT_THROW(parse_axes("B:3_listdim"), Error);
  EXPECT_THROW(make_axis(AxisKind::kBatch, 0, true), Error);
}

TEST(Axis, t_with_string) {
  EXPECT_TRUE(t_with_string(AxisKind::kTime, "t_time_"));
  EXPECT_FALSE(t_with_string(AxisKind::kTime, "t_time"));
}

}  // namespace
}  // namespace fathom::typing
