/** Ids seen so far; as many as memory holds, where one Set holds 2^24. */
export class IdSet {
  #sets: Set<string>[] = [new Set()]

  has(id: string): boolean {
    return this.#sets.some((set) => set.has(id))
  }

  add(id: string): void {
    if (this.#sets.at(-1)!.size >= 8_000_000) this.#sets.push(new Set())
    this.#sets.at(-1)!.add(id)
  }
}
