// What both native peers share: query files ([u32 length, bytes] each), warm-up, timing, one JSON line an answer.
#pragma once
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

constexpr size_t MIN_LENGTH = 32, MAX_OWNERS = 16, WARM_UP = 8;

struct Span {
  size_t start, end, owner_count;
  std::vector<uint64_t> owners;
};

inline std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

inline std::vector<std::string> read_queries(const std::string& path) {
  const std::string bytes = read_file(path);
  std::vector<std::string> queries;
  for (size_t at = 0; at < bytes.size();) {
    uint32_t length;
    std::copy_n(bytes.data() + at, 4, reinterpret_cast<char*>(&length));
    queries.push_back(bytes.substr(at + 4, length));
    at += 4 + length;
  }
  return queries;
}

inline size_t peak_rss_bytes() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  return size_t(usage.ru_maxrss) * 1024;
}
inline double cpu_seconds() {
  rusage usage;
  getrusage(RUSAGE_SELF, &usage);
  auto seconds = [](timeval t) { return t.tv_sec + t.tv_usec / 1e6; };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

/** Distinct rows of the occurrences: all counted, at most MAX_OWNERS named. */
inline void name_owners(Span& span, std::vector<uint64_t>& rows) {
  std::sort(rows.begin(), rows.end());
  rows.erase(std::unique(rows.begin(), rows.end()), rows.end());
  span.owner_count = rows.size();
  span.owners.assign(rows.begin(), rows.begin() + std::min(rows.size(), MAX_OWNERS));
}

/** Engine: size_t count(const std::string&), std::vector<Span> spans(const std::string&). */
template <class Engine>
void answer(const Engine& engine, const std::vector<std::string>& files) {
  using clock = std::chrono::steady_clock;
  auto since = [](clock::time_point from) { return std::chrono::duration<double, std::milli>(clock::now() - from).count(); };
  for (const auto& file : files) {
    const auto queries = read_queries(file);
    const bool counts = file.find("counts.queries") != std::string::npos;
    for (size_t i = 0; i < std::min(queries.size(), WARM_UP); i++) counts ? (void)engine.count(queries[i]) : (void)engine.spans(queries[i]);
    for (const auto& query : queries) {
      const auto from = clock::now();
      if (counts) {
        const size_t count = engine.count(query);
        const double ms = since(from);
        printf("{\"file\":\"%s\",\"ms\":%.6f,\"count\":%zu}\n", file.c_str(), ms, count);
        continue;
      }
      const auto spans = engine.spans(query);
      const double ms = since(from);
      printf("{\"file\":\"%s\",\"ms\":%.6f,\"spans\":[", file.c_str(), ms);
      for (size_t i = 0; i < spans.size(); i++) {
        printf("%s[%zu,%zu,%zu,[", i ? "," : "", spans[i].start, spans[i].end, spans[i].owner_count);
        for (size_t o = 0; o < spans[i].owners.size(); o++) printf("%s%zu", o ? "," : "", size_t(spans[i].owners[o]));
        printf("]]");
      }
      printf("]}\n");
    }
  }
  printf("{\"peakRssBytes\":%zu}\n", peak_rss_bytes());
}
