import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'

interface Checkpointing {
  join(copy: () => () => void): void
}

/**
 * What the example has done, kept on disk: killed in the middle and started again, it goes on where it was. Steps that
 * were under way, or done since the last checkpoint, run again, so each of them must bear that.
 */
export class Journal {
  readonly #file: string
  readonly #done: Record<string, unknown>
  readonly #checkpoints: Checkpointing | undefined

  /** @param checkpoints writes the journal when what it tells of is on disk; left out, it is written after every step */
  constructor(file: string, checkpoints?: Checkpointing) {
    this.#file = file
    this.#done = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {}
    this.#checkpoints = checkpoints
    checkpoints?.join(() => {
      const text = this.#text()
      return () => this.#write(text)
    })
  }

  async once<Result>(step: string, run: () => Promise<Result>): Promise<Result> {
    if (step in this.#done) return this.#done[step] as Result
    const result = await run()
    this.#done[step] = result ?? null
    if (!this.#checkpoints) this.#write(this.#text())
    return result
  }

  /** What was done so far, by step. */
  get done(): Readonly<Record<string, unknown>> {
    return this.#done
  }

  #text(): string {
    return JSON.stringify(this.#done, null, 1)
  }

  #write(text: string): void {
    writeFileSync(`${this.#file}.new`, text, { mode: 0o600 })
    renameSync(`${this.#file}.new`, this.#file)
  }
}
