import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { checksumOf, IdSet, IndexBuilder } from '../../../functions/attribution/provenance/index.ts'
import { type FolderList, LIST, openShard } from './index-folder.ts'
import { RowRefused, readRows } from './rows-file.ts'

/** Text of a shard: sorting takes 5 bytes of memory a byte of text, and queries are faster over few shards. */
const SHARD_BYTES = 384 * 1024 * 1024

interface Built {
  rows: number
  corpusBytes: number
  indexBytes: number
}

/** Where a folder's next index is built: inside it, as it may be all of a disk, or all that may be written to. */
export const UNFINISHED = '.unfinished'

/**
 * What stands in the folder goes when the index is finished: a refused input leaves nothing behind. A build that was cut off
 * leaves its finished shards, each with the digest of its rows, and the next build of the same rows goes on from them.
 */
export async function buildFolder(rowsFile: string, out: string, say: (line: string) => void): Promise<Built> {
  const work = join(out, UNFINISHED)
  const made = mkdirSync(work, { recursive: true })
  const shardBytes = Number(process.env['PROVENANCE_SHARD_BYTES'] ?? SHARD_BYTES)
  const list: FolderList = { shards: [] }
  const seen = new IdSet()
  const builder = new IndexBuilder({ seen, onProgress: (stage) => say(`shard ${list.shards.length + 1}: ${stage}`) })
  let digest = createHash('sha256')
  const finishShard = () => {
    const file = `shard-${String(list.shards.length).padStart(4, '0')}.idx`
    const rows = builder.rows
    const corpusBytes = builder.corpusBytes
    list.shards.push({ file, rows, corpusBytes, ...finishFile(builder, join(work, file), digest.digest('hex'), say) })
    digest = createHash('sha256')
  }
  try {
    for await (const { row, line, number } of readRows(rowsFile)) {
      const bytes = Buffer.byteLength(row.text)
      if (builder.rows > 0 && builder.corpusBytes + bytes > shardBytes) finishShard()
      if (seen.has(row.id))
        throw new RowRefused(`line ${number}: the id ${JSON.stringify(row.id)} stands on an earlier line`)
      builder.add(row)
      digest.update(line)
      digest.update('\n')
      if (number % 50_000 === 0)
        say(`line ${number}: ${(builder.corpusBytes / 1e6).toFixed(0)} MB in shard ${list.shards.length + 1}`)
    }
    if (builder.rows > 0 || list.shards.length === 0) finishShard()
    const text = `${JSON.stringify(list)}\n`
    writeFileSync(join(work, LIST), text)
    for (const name of readdirSync(out)) if (name !== UNFINISHED) rmSync(join(out, name), { recursive: true })
    // The list last: without it there is no index. What a cut-off build of other rows left goes with the shards' digests.
    for (const file of [...list.shards.map((shard) => shard.file), LIST]) renameSync(join(work, file), join(out, file))
    rmSync(work, { recursive: true })
    const sum = (key: 'rows' | 'corpusBytes' | 'bytes') => list.shards.reduce((total, shard) => total + shard[key], 0)
    return { rows: sum('rows'), corpusBytes: sum('corpusBytes'), indexBytes: sum('bytes') + Buffer.byteLength(text) }
  } catch (error) {
    rmSync(made ?? work, { recursive: true, force: true })
    throw error
  }
}

/** Writes the builder's shard, unless an earlier run finished the same one. */
function finishFile(
  builder: IndexBuilder,
  path: string,
  digest: string,
  say: (line: string) => void,
): { bytes: number; checksum: number } {
  const marker = `${path}.rows`
  if (existsSync(marker) && existsSync(path) && readFileSync(marker, 'utf8') === digest) {
    try {
      const { checksum } = openShard(path)
      say(`${path} is finished already`)
      builder.clear()
      return { bytes: statSync(path).size, checksum }
    } catch {
      // cut off while it was written: again
    }
  }
  const bytes = builder.finish()
  writeFileSync(path, bytes)
  writeFileSync(marker, digest)
  return { bytes: bytes.length, checksum: checksumOf(bytes) }
}
