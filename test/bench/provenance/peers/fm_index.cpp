// An sdsl FM-index in infini-gram mini's configuration (its engine: csa_wt<wt_huff<rrr_vector<127>>, 32, 64>), asked by the
// same skipping search as ours (Boyer-Moore-Li, functions/attribution/provenance/maximal-spans.ts). Rows by an sd_vector
// over their starts. `fm_index build ROWS INDEX TMP | query INDEX FILE...`
#include <sdsl/suffix_arrays.hpp>

#include "queries.hpp"

using Index = sdsl::csa_wt<sdsl::wt_huff<sdsl::rrr_vector<127>>, 32, 64>;

struct Reach {
  size_t at, lo, hi;  // query[at, end of the probe) stands in rows [lo, hi] of the suffix array
};

struct Engine {
  Index index;
  sdsl::sd_vector<> starts;
  sdsl::sd_vector<>::rank_1_type row_rank;

  bool extend(Reach& reach, unsigned char byte) const {
    size_t lo, hi;
    if (!sdsl::backward_search(index, reach.lo, reach.hi, byte, lo, hi)) return false;
    reach.lo = lo, reach.hi = hi;
    return true;
  }
  bool extend_to(const std::string& query, Reach& reach, size_t lim) const {
    for (; reach.at > lim; reach.at--)
      if (!extend(reach, query[reach.at - 1])) return false;
    return true;
  }

  size_t count(const std::string& pattern) const { return sdsl::count(index, pattern.begin(), pattern.end()); }

  std::vector<Span> spans(const std::string& query) const {
    std::vector<Span> found;
    const long first_probe = 16;
    long top = query.size(), smax = top, step = first_probe, held = 0;
    Reach reach{};
    bool failed_above = false;
    for (;;) {
      const long lim = std::min(smax, top - long(MIN_LENGTH));
      if (lim < 0) break;
      if (held > top) held = 0;
      const long p = held == 0 || !failed_above ? std::min(top, lim + step) : held + ((top - held + 1) >> 1);
      Reach from = p == held ? reach : Reach{size_t(p), 0, index.size() - 1};
      if (!extend_to(query, from, lim)) {
        failed_above = p != held && held != 0;
        if (!failed_above) held = 0, step = first_probe;
        top = p - 1;
      } else if (p < top) {
        held = p, reach = from, step *= 2;
      } else {
        while (from.at > 0 && extend(from, query[from.at - 1])) from.at--;
        Span span{from.at, size_t(top), 0, {}};
        std::vector<uint64_t> rows;
        for (size_t i = from.lo; i <= from.hi; i++) rows.push_back(row_rank(index[i] + 1) - 1);
        name_owners(span, rows);
        found.push_back(span);
        smax = long(from.at) - 1, top--;
        held = 0, step = first_probe, failed_above = false;
      }
    }
    std::reverse(found.begin(), found.end());
    return found;
  }
};

int main(int argc, char** argv) {
  const std::vector<std::string> args(argv + 1, argv + argc);
  if (args.at(0) == "build") {
    sdsl::cache_config config(true, args.at(3), "fm");
    Index index;
    sdsl::construct(index, args.at(1), config, 1);
    const std::string text = read_file(args.at(1));
    sdsl::bit_vector marks(text.size() + 1, 0);
    for (size_t i = 0; i < text.size(); i++)
      if (i == 0 || (unsigned char)text[i - 1] == 0xff) marks[i] = 1;
    std::ofstream out(args.at(2), std::ios::binary);
    const size_t bytes = index.serialize(out) + sdsl::sd_vector<>(marks).serialize(out);
    printf("{\"indexBytes\":%zu,\"cpuSeconds\":%.3f,\"peakRssBytes\":%zu}\n", bytes, cpu_seconds(), peak_rss_bytes());
    return 0;
  }
  const auto from = std::chrono::steady_clock::now();
  Engine engine;
  std::ifstream in(args.at(1), std::ios::binary);
  engine.index.load(in);
  engine.starts.load(in);
  engine.row_rank = sdsl::sd_vector<>::rank_1_type(&engine.starts);
  printf("{\"openSeconds\":%.4f}\n", std::chrono::duration<double>(std::chrono::steady_clock::now() - from).count());
  answer(engine, {args.begin() + 2, args.end()});
}
