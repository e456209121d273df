// A plain suffix array (int32, made by pydivsufsort) and the text, both in memory: the bound on speed. The search is the
// skipping one, left to right, since a suffix array extends to the right. `suffix_array ROWS ARRAY FILE...`
#include <cstring>

#include "queries.hpp"

struct Engine {
  std::string text;
  std::vector<int32_t> array;
  std::vector<uint32_t> starts;

  int compare(size_t suffix, const char* pattern, size_t length) const {
    const size_t rest = text.size() - array[suffix];
    const int order = memcmp(text.data() + array[suffix], pattern, std::min(rest, length));
    return order ? order : rest < length ? -1 : 0;
  }
  /** Suffixes that begin with the pattern: [lo, hi). */
  std::pair<size_t, size_t> find(const char* pattern, size_t length) const {
    auto below = [&](auto holds) {
      size_t low = 0, high = array.size();
      while (low < high) {
        const size_t middle = (low + high) / 2;
        if (holds(compare(middle, pattern, length))) low = middle + 1;
        else high = middle;
      }
      return low;
    };
    const size_t lo = below([](int order) { return order < 0; });
    if (lo == array.size() || compare(lo, pattern, length)) return {lo, lo};
    return {lo, below([](int order) { return order <= 0; })};
  }
  bool occurs(const std::string& query, size_t start, size_t end) const {
    const auto [lo, hi] = find(query.data() + start, end - start);
    return lo < hi;
  }

  size_t count(const std::string& pattern) const {
    const auto [lo, hi] = find(pattern.data(), pattern.size());
    return hi - lo;
  }

  /** Longest stretch from `start` on; the suffix before or after the pattern's place shares most with it. */
  size_t reach(const std::string& query, size_t start) const {
    const char* pattern = query.data() + start;
    const size_t length = query.size() - start, place = find(pattern, length).first;
    size_t longest = 0;
    for (size_t at : {place - 1, place}) {
      if (at >= array.size()) continue;
      const char* suffix = text.data() + array[at];
      const size_t limit = std::min(length, text.size() - array[at]);
      size_t shared = 0;
      while (shared < limit && suffix[shared] == pattern[shared]) shared++;
      longest = std::max(longest, shared);
    }
    return start + longest;
  }

  std::vector<Span> spans(const std::string& query) const {
    std::vector<Span> found;
    const size_t n = query.size(), probe = 16;
    size_t end = 0;  // of the last span found: the next one ends after it
    for (size_t start = 0; start + MIN_LENGTH <= n;) {
      const size_t wanted = std::max(end + 1, start + MIN_LENGTH);
      if (wanted > n) break;
      if (!occurs(query, wanted - probe, wanted)) {  // nothing from before wanted - probe on reaches `wanted`
        start = wanted - probe + 1;
        continue;
      }
      const size_t to = reach(query, start);
      if (to < wanted) {
        // The smallest start from which the stretch reaches `wanted`, by halving: it holds from there on.
        size_t low = start + 1, high = wanted - probe;
        while (low < high) {
          const size_t middle = (low + high) / 2;
          if (occurs(query, middle, wanted)) high = middle;
          else low = middle + 1;
        }
        start = low;
        continue;
      }
      Span span{start, to, 0, {}};
      const auto [lo, hi] = find(query.data() + start, to - start);
      std::vector<uint64_t> rows;
      for (size_t i = lo; i < hi; i++)
        rows.push_back(std::upper_bound(starts.begin(), starts.end(), uint32_t(array[i])) - starts.begin() - 1);
      name_owners(span, rows);
      found.push_back(span);
      end = to, start++;
    }
    return found;
  }
};

int main(int argc, char** argv) {
  const std::vector<std::string> args(argv + 1, argv + argc);
  const auto from = std::chrono::steady_clock::now();
  Engine engine;
  engine.text = read_file(args.at(0));
  const std::string array = read_file(args.at(1));
  engine.array.resize(array.size() / 4);
  memcpy(engine.array.data(), array.data(), array.size());
  for (size_t i = 0; i < engine.text.size(); i++)
    if (i == 0 || (unsigned char)engine.text[i - 1] == 0xff) engine.starts.push_back(i);
  printf("{\"openSeconds\":%.4f}\n", std::chrono::duration<double>(std::chrono::steady_clock::now() - from).count());
  answer(engine, {args.begin() + 2, args.end()});
}
