#include "plugins/api-kubernetes/http/gzip.hpp"

#include <zlib.h>

namespace orlop::http {

bool accepts_gzip(std::string_view accept_encoding) {
  size_t at = accept_encoding.find("gzip");
  if (at == std::string_view::npos) return false;
  std::string_view rest = accept_encoding.substr(at + 4);
  rest = rest.substr(0, rest.find(','));
  return rest.find("q=0") == std::string_view::npos || rest.find("q=0.") != std::string_view::npos;
}

struct GzipStream::State {
  z_stream stream{};
};

GzipStream::GzipStream() : state_(std::make_unique<State>()) {
  constexpr int kGzipWindow = 15 + 16;
  deflateInit2(&state_->stream, 1, Z_DEFLATED, kGzipWindow, 8, Z_DEFAULT_STRATEGY);
}

GzipStream::~GzipStream() {
  deflateEnd(&state_->stream);
}

std::string GzipStream::add(std::string_view bytes, bool last) {
  z_stream& stream = state_->stream;
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  std::string out;
  size_t used = 0;
  do {
    out.resize(used + deflateBound(&stream, stream.avail_in) + 64);
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + used);
    stream.avail_out = static_cast<uInt>(out.size() - used);
    deflate(&stream, last ? Z_FINISH : Z_NO_FLUSH);
    used = out.size() - stream.avail_out;
  } while (stream.avail_out == 0);
  out.resize(used);
  return out;
}

std::string gunzip(std::string_view bytes, size_t size_max) {
  z_stream stream{};
  if (inflateInit2(&stream, 15 + 16) != Z_OK) return {};
  std::string out;
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  char buffer[16384];
  int code = Z_OK;
  while (code == Z_OK && out.size() < size_max) {
    stream.next_out = reinterpret_cast<Bytef*>(buffer);
    stream.avail_out = sizeof buffer;
    code = inflate(&stream, Z_NO_FLUSH);
    out.append(buffer, sizeof buffer - stream.avail_out);
  }
  inflateEnd(&stream);
  return out;
}

}  // namespace orlop::http
