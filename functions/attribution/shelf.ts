/** What was opened, kept while it fits into a budget of bytes; least recently used goes first. */
export class Shelf {
  readonly #budget: number
  readonly #kept = new Map<string, { value: unknown; bytes: number }>()
  #bytes = 0
  constructor(budget: number) {
    this.#budget = budget
  }

  get<Value>(key: string): Value | undefined {
    const found = this.#kept.get(key)
    if (!found) return undefined
    this.#kept.delete(key)
    this.#kept.set(key, found)
    return found.value as Value
  }

  /** Makes room first, so that old and new are not held together; what exceeds the budget alone is not kept. */
  put(key: string, value: unknown, bytes: number): void {
    this.makeRoom(bytes)
    if (bytes > this.#budget) return
    this.#kept.set(key, { value, bytes })
    this.#bytes += bytes
  }

  makeRoom(bytes: number): void {
    for (const [key, old] of this.#kept) {
      if (this.#bytes + bytes <= this.#budget) return
      this.#kept.delete(key)
      this.#bytes -= old.bytes
    }
  }
}
