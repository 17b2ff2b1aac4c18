#include "plugins/runtime-containerd/image_archive.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include <fmt/format.h>
#include <openssl/evp.h>

namespace orlop::containerd {

namespace {

constexpr size_t kBlock = 512;

std::string sha256(std::string_view bytes) {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  EVP_Digest(bytes.data(), bytes.size(), digest.data(), &size, EVP_sha256(), nullptr);
  std::string out;
  for (unsigned i = 0; i < size; ++i) out += fmt::format("{:02x}", digest[i]);
  return out;
}

std::string json_string(std::string_view text) {
  std::string out = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

constexpr std::string_view architecture() {
#if defined(__aarch64__)
  return "arm64";
#else
  return "amd64";
#endif
}

std::string header_of(const ImageFile& file) {
  std::string header(kBlock, '\0');
  auto put = [&header](size_t at, std::string_view text) {
    std::copy(text.begin(), text.end(), header.begin() + static_cast<std::ptrdiff_t>(at));
  };
  put(0, std::string_view(file.path).substr(0, 99));
  put(100, fmt::format("{:07o}", file.mode));
  put(108, "0000000");
  put(116, "0000000");
  put(124, fmt::format("{:011o}", file.content.size()));
  put(136, "00000000000");
  put(148, "        ");
  header[156] = '0';
  put(257, std::string_view("ustar\0"
                            "00",
                            8));
  unsigned sum = 0;
  for (char c : header) sum += static_cast<unsigned char>(c);
  put(148, fmt::format("{:06o}", sum));
  header[154] = '\0';
  return header;
}

}  // namespace

std::string tar_of(const std::vector<ImageFile>& files) {
  std::string out;
  for (const ImageFile& file : files) {
    out += header_of(file) + file.content;
    out.resize((out.size() + kBlock - 1) / kBlock * kBlock, '\0');
  }
  out.append(2 * kBlock, '\0');
  return out;
}

std::string image_archive(const ImageRecipe& recipe) {
  std::string layer = tar_of(recipe.files);
  std::string entrypoint;
  for (const std::string& word : recipe.entrypoint) entrypoint += (entrypoint.empty() ? "" : ",") + json_string(word);
  std::string config =
      fmt::format(R"({{"architecture":"{}","os":"linux","config":{{"Entrypoint":[{}],"WorkingDir":"/"}},)"
                  R"("rootfs":{{"type":"layers","diff_ids":["sha256:{}"]}},"history":[{{"created_by":"orlop"}}]}})",
                  architecture(), entrypoint, sha256(layer));
  std::string config_name = sha256(config) + ".json";
  std::string manifest = fmt::format(R"([{{"Config":"{}","RepoTags":[{}],"Layers":["layer.tar"]}}])", config_name,
                                     json_string(recipe.name));
  return tar_of({{"manifest.json", manifest, 0644}, {config_name, config, 0644}, {"layer.tar", layer, 0644}});
}

}  // namespace orlop::containerd
