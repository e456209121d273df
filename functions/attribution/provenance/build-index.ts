import { crc32 } from 'node:zlib'
import { FORMAT_VERSION, HEADER_BYTES, MAGIC, MAX_SHARD_BYTES, SAMPLE_EVERY, SEPARATOR } from './index-format.ts'
import { ProvenanceError } from './provenance-error.ts'
import type { IndexRow } from './provenance-span.ts'
import { suffixArray } from './suffix-array.ts'

export interface BuildOptions {
  onProgress?: (stage: string) => void
}

/** Indexes rows into one flat file. The same rows in the same order give the same bytes. */
export function buildIndex(rows: Iterable<IndexRow>, options: BuildOptions = {}): Uint8Array {
  const ids: string[] = []
  const parts: Uint8Array[] = []
  const seen = new Set<string>()
  let textBytes = 0
  for (const { id, text } of rows) {
    if (!id.isWellFormed() || !text.isWellFormed()) {
      throw new ProvenanceError('ROW_NOT_UNICODE', `row ${ids.length + 1}: lone surrogate in id or text`)
    }
    if (seen.has(id))
      throw new ProvenanceError('ROW_REPEATED', `row ${ids.length + 1}: id ${JSON.stringify(id)} is repeated`)
    seen.add(id)
    ids.push(id)
    const bytes = Buffer.from(text)
    textBytes += bytes.length
    if (textBytes + ids.length > MAX_SHARD_BYTES)
      throw new ProvenanceError('SHARD_TOO_LARGE', `more than ${MAX_SHARD_BYTES} bytes`)
    parts.push(bytes, Uint8Array.of(SEPARATOR))
  }
  const text = Buffer.concat(parts)
  options.onProgress?.('sort')
  const sa = suffixArray(text, 256)
  options.onProgress?.('encode')
  const starts: number[] = []
  let at = 0
  for (let d = 0; d < ids.length; d++) {
    starts.push(at)
    at += parts[2 * d]!.length + 1
  }
  const rowOf = (position: number) => {
    let low = 0
    let high = starts.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (starts[middle]! <= position) low = middle
      else high = middle - 1
    }
    return low
  }
  const bwt = new Uint8Array(text.length)
  const samples = new Uint32Array(Math.ceil(text.length / SAMPLE_EVERY))
  const startRows: number[] = []
  for (let r = 0; r < text.length; r++) {
    const p = sa[r]!
    bwt[r] = p === 0 ? SEPARATOR : text[p - 1]!
    if (bwt[r] === SEPARATOR) startRows.push(rowOf(p))
    if (r % SAMPLE_EVERY === 0) samples[r / SAMPLE_EVERY] = rowOf(p)
  }
  const idBytes = Buffer.from(JSON.stringify(ids))
  const body = Buffer.concat([
    bwt,
    new Uint8Array(samples.buffer),
    new Uint8Array(Uint32Array.from(startRows).buffer),
    new Uint8Array(Uint32Array.from(ids, (_, d) => parts[2 * d]!.length).buffer),
    idBytes,
  ])
  const header = Buffer.alloc(HEADER_BYTES)
  header.set(MAGIC)
  header.writeUInt32LE(FORMAT_VERSION, 8)
  header.writeUInt32LE(ids.length, 12)
  header.writeUInt32LE(text.length, 16)
  header.writeUInt32LE(idBytes.length, 20)
  header.writeUInt32LE(body.length, 24)
  header.writeUInt32LE(crc32(body), 28)
  header.writeUInt32LE(crc32(header.subarray(0, HEADER_BYTES - 4)), HEADER_BYTES - 4)
  return new Uint8Array(Buffer.concat([header, body]))
}
