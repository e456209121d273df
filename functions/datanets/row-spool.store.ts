import { closeSync, mkdtempSync, openSync, readSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A temporary file that grows by appended pieces and is read by range: rows wait here, not in memory. */
export class Spool {
  readonly path: string
  readonly #file: number
  #bytes = 0
  #held: Uint8Array[] = []
  #heldBytes = 0

  constructor(path: string) {
    this.path = path
    this.#file = openSync(path, 'w+')
  }

  get bytes(): number {
    return this.#bytes
  }

  append(bytes: Uint8Array): void {
    this.#held.push(bytes)
    this.#heldBytes += bytes.length
    this.#bytes += bytes.length
    if (this.#heldBytes > 1 << 20) this.flush()
  }

  flush(): void {
    if (this.#heldBytes > 0)
      writeSync(this.#file, Buffer.concat(this.#held), 0, this.#heldBytes, this.#bytes - this.#heldBytes)
    this.#held = []
    this.#heldBytes = 0
  }

  /** Replaces bytes that were appended before. */
  patch(start: number, bytes: Uint8Array): void {
    this.flush()
    writeSync(this.#file, bytes, 0, bytes.length, start)
  }

  read(start: number, bytes: number): Buffer {
    this.flush()
    const buffer = Buffer.alloc(bytes)
    readSync(this.#file, buffer, 0, bytes, start)
    return buffer
  }

  close(): void {
    closeSync(this.#file)
  }
}

/** Runs `work` with a folder for spools, and removes it whatever happens: warm functions share /tmp. */
export const withSpools = async <Result>(
  work: (spool: (name: string) => Spool) => Promise<Result>,
): Promise<Result> => {
  const folder = mkdtempSync(join(tmpdir(), 'ingestion-'))
  const spools: Spool[] = []
  try {
    return await work((name) => {
      const spool = new Spool(join(folder, name))
      spools.push(spool)
      return spool
    })
  } finally {
    for (const spool of spools) spool.close()
    rmSync(folder, { recursive: true, force: true })
  }
}
