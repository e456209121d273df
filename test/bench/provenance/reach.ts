import type { CorpusName } from './corpora.ts'
import type { Measured } from './measure.ts'
import { CLASSES } from './workload.ts'

export interface Figures {
  corpus: { packages: string[]; bytes: number; rows: number; outputs: number }
  ours: Measured
  /** `different`: answers that are not ours. */
  peers: Record<string, (Measured & { different: number }) | { absent: string }>
  floors: Record<string, number | null>
  load: { total: number; read: number } | { absent: string } | null
}
type Value = { value: number; peer?: unknown } | { value: null; why: string }

/** The figures of the issue, each with the value of this run; a shard of 250 MB and more is what most of them speak of. */
export const reach = (figures: Partial<Record<CorpusName, Figures>>, quick: boolean) => {
  const { english, mixed } = figures
  const why = quick ? '--quick has no shard of 250 MB' : 'this corpus was left out by --corpora'
  const of = (found: Figures | undefined, value: (found: Figures) => Value): Value =>
    found ? value(found) : { value: null, why }
  const entry = (figure: string, measured: Value, goal: number, unit: string, atLeast = false) => ({
    figure,
    ...measured,
    goal: `${atLeast ? '>=' : '<='} ${goal}`,
    unit,
    met: measured.value === null ? null : atLeast ? measured.value >= goal : measured.value <= goal,
  })
  /** Slowest class of ours, and the smallest of the ratios over the classes. */
  const faster =
    (peerName: string) =>
    (found: Figures): Value => {
      const [name, peer] = Object.entries(found.peers).find(([name]) => name.startsWith(peerName))!
      if ('absent' in peer) return { value: null, why: `${name} is absent: ${peer.absent}` }
      const ratios = CLASSES.map((kind) => peer.spansMs[kind].p95 / found.ours.spansMs[kind].p95)
      return { value: Math.min(...ratios), peer: peer.spansMs }
    }
  return [
    entry(
      'index, English',
      of(english, ({ ours, floors }) => ({ value: ours.bytesPerByte, peer: floors })),
      0.3,
      'bytes per corpus byte',
    ),
    entry(
      'spans and owners of 2,200 bytes, p95 of the slowest class',
      of(mixed, ({ ours }) => ({
        value: Math.max(...CLASSES.map((kind) => ours.spansMs[kind].p95)),
        peer: ours.spansMs,
      })),
      15,
      'ms',
    ),
    entry('faster than sdsl, smallest ratio of p95', of(mixed, faster('sdsl')), 2, 'ratio', true),
    entry('faster than infini-gram, smallest ratio of p95', of(mixed, faster('infini-gram')), 50, 'ratio', true),
    entry(
      'count of 40 bytes, median',
      of(mixed, ({ ours }) => ({ value: ours.countUs.p50, peer: ours.countUs })),
      50,
      'us',
    ),
    entry(
      'build',
      of(mixed, ({ ours }) => ({ value: ours.buildMbPerCpuSecond })),
      12,
      'MB per CPU second',
      true,
    ),
    entry(
      'build, memory of the process',
      of(mixed, ({ ours }) => ({ value: ours.buildPeakBytesPerByte })),
      6,
      'bytes per corpus byte',
    ),
    entry(
      'load from the S3 of the embedded AWS, opened',
      of(mixed, ({ load }) =>
        load && 'total' in load
          ? { value: load.total, peer: { read: load.read } }
          : { value: null, why: load?.absent ?? '' },
      ),
      1.5,
      's',
    ),
  ]
}
