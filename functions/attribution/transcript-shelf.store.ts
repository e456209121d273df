import type { Objects } from '#registry/objects.store'
import { OpenLedgerError } from '#schema/errors'
import { Transcript } from '#schema/receipt'

/** Reads what was said; undefined after it expired or was erased. */
export class TranscriptShelf {
  readonly #objects: Objects
  constructor(objects: Objects) {
    this.#objects = objects
  }

  async find(receiptId: string): Promise<Transcript | undefined> {
    try {
      return Transcript.parse(await this.#objects.json(`transcripts/${receiptId}.json`))
    } catch (error) {
      if (error instanceof OpenLedgerError && error.code === 'not-found') return undefined
      throw error
    }
  }
}
