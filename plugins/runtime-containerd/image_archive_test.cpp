#include "plugins/runtime-containerd/image_archive.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace orlop::containerd {
namespace {

TEST(ImageArchive, TarIsWholeBlocksWithAValidChecksum) {
  std::string tar = tar_of({{"a/b", "content", 0755}});
  ASSERT_EQ(tar.size(), 4 * 512u);
  EXPECT_EQ(tar.substr(0, 4), std::string("a/b\0", 4));
  EXPECT_EQ(tar.substr(512, 7), "content");
  unsigned sum = 0;
  for (size_t i = 0; i < 512; ++i) sum += i >= 148 && i < 156 ? ' ' : static_cast<unsigned char>(tar[i]);
  EXPECT_EQ(std::stoul(tar.substr(148, 6), nullptr, 8), sum);
}

TEST(ImageArchive, SameRecipeSameBytes) {
  ImageRecipe recipe{"orlop.test/x:1", {"/x"}, {{"x", "program", 0755}}};
  EXPECT_EQ(image_archive(recipe), image_archive(recipe));
  EXPECT_THAT(image_archive(recipe), ::testing::HasSubstr("\"RepoTags\":[\"orlop.test/x:1\"]"));
}

}  // namespace
}  // namespace orlop::containerd
