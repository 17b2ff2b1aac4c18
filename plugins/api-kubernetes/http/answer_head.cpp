#include "plugins/api-kubernetes/http/answer_head.hpp"

#include <charconv>
#include <ctime>

namespace orlop::http {
namespace {

std::string_view reason_phrase(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 301:
      return "Moved Permanently";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 406:
      return "Not Acceptable";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 410:
      return "Gone";
    case 413:
      return "Request Entity Too Large";
    case 415:
      return "Unsupported Media Type";
    case 422:
      return "Unprocessable Entity";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return "Status";
  }
}

void append_number(std::string& out, size_t number, int base = 10) {
  char text[24];
  auto end = std::to_chars(text, text + sizeof text, number, base);
  out.append(text, end.ptr);
}

void append_date(std::string& out) {
  thread_local std::time_t last = 0;
  thread_local char text[40];
  thread_local size_t size = 0;
  std::time_t now = std::time(nullptr);
  if (now != last) {
    std::tm parts{};
    gmtime_r(&now, &parts);
    size = std::strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
    last = now;
  }
  out.append(text, size);
}

}  // namespace

void append_answer_head(std::string& out, const AnswerHead& head) {
  out += "HTTP/1.1 ";
  append_number(out, static_cast<size_t>(head.status));
  out += ' ';
  out += reason_phrase(head.status);
  out += "\r\nDate: ";
  append_date(out);
  if (!head.content_type.empty()) {
    out += "\r\nContent-Type: ";
    out += head.content_type;
  }
  for (const auto& [name, value] : head.headers) {
    out += "\r\n";
    out += name;
    out += ": ";
    for (char c : value) {
      if (c != '\r' && c != '\n') out += c;
    }
  }
  if (head.content_length == kChunked) {
    out += "\r\nTransfer-Encoding: chunked";
  } else {
    out += "\r\nContent-Length: ";
    append_number(out, head.content_length);
  }
  out += head.keep_alive ? "\r\n\r\n" : "\r\nConnection: close\r\n\r\n";
}

void append_chunk(std::string& out, std::string_view bytes) {
  if (bytes.empty()) return;
  append_number(out, bytes.size(), 16);
  out += "\r\n";
  out += bytes;
  out += "\r\n";
}

}  // namespace orlop::http
