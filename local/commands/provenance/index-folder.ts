import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs'
import { join } from 'node:path'
import { loadIndex, ProvenanceError, type ProvenanceIndex } from '../../../functions/attribution/provenance/index.ts'

/** A folder's list of shards: one that is missing, or is another build's, is not passed over in silence. */
export interface FolderList {
  /** `checksum`: of the file; lists of earlier releases have none. */
  shards: { file: string; bytes: number; rows: number; corpusBytes: number; checksum?: number }[]
}
export const LIST = 'index.json'

/** Opens all shards of a folder; throws an Error that says what is wrong with it. */
export function openFolder(folder: string): ProvenanceIndex[] {
  let list: FolderList
  try {
    list = JSON.parse(readFileSync(join(folder, LIST), 'utf8')) as FolderList
    if (list.shards.length === 0) throw new Error('no shards')
  } catch {
    throw new Error(`${folder} holds no provenance index (${LIST})`)
  }
  return list.shards.map((shard) => {
    const index = openShard(join(folder, String(shard.file)))
    const isListed = index.rowCount === shard.rows && index.corpusBytes === shard.corpusBytes
    if (!isListed || (shard.checksum ?? index.checksum) !== index.checksum)
      throw new Error(`${shard.file} is not the shard that ${LIST} names`)
    return index
  })
}

/** Reads a file straight into the index's own memory; the errors name it. */
export function openShard(path: string): ProvenanceIndex {
  const file = openSync(path, 'r')
  try {
    const bytes = fstatSync(file).size
    return loadIndex(bytes, (memory) => {
      for (let at = 0; at < bytes; ) {
        const read = readSync(file, memory, at, Math.min(bytes - at, 1 << 26), at)
        if (read === 0) throw new Error(`${path} became shorter while it was read`)
        at += read
      }
    })
  } catch (error) {
    if (error instanceof ProvenanceError)
      throw new ProvenanceError(error.code, `${path}: ${error.code}, ${error.message}`)
    throw error
  } finally {
    closeSync(file)
  }
}
