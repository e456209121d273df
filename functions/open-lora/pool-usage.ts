/** Notes that a pool is used, once a minute for each environment: the janitor only asks whether it was lately. */
export class PoolUsage {
  readonly #book: { used(baseId: string, bucket: number, usedAt: string): Promise<void> }
  readonly #noted = new Map<string, number>()
  constructor(book: { used(baseId: string, bucket: number, usedAt: string): Promise<void> }) {
    this.#book = book
  }

  async note({ baseId, bucket }: { baseId: string; bucket: number }, at: Date): Promise<void> {
    const key = `${baseId}#${bucket}`
    if (at.getTime() - (this.#noted.get(key) ?? 0) < 60_000) return
    this.#noted.set(key, at.getTime())
    await this.#book.used(baseId, bucket, at.toISOString())
  }
}
