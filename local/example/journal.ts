import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'

/**
 * What the example has done, kept on disk after every step: killed in the middle and started again, it goes on where
 * it was. Steps that were under way run again, so each of them must bear that.
 */
export class Journal {
  readonly #file: string
  readonly #done: Record<string, unknown>
  constructor(file: string) {
    this.#file = file
    this.#done = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {}
  }

  async once<Result>(step: string, run: () => Promise<Result>): Promise<Result> {
    if (step in this.#done) return this.#done[step] as Result
    const result = await run()
    this.#done[step] = result ?? null
    writeFileSync(`${this.#file}.new`, JSON.stringify(this.#done, null, 1), { mode: 0o600 })
    renameSync(`${this.#file}.new`, this.#file)
    return result
  }
}
