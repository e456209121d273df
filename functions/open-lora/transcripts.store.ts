import type { Objects } from '#registry/objects.store'
import { OpenLedgerError } from '#schema/errors'
import { Transcript } from '#schema/receipt'

/** Prompts and outputs, under their receipt, in the one bucket that has its own key and expires. */
export class Transcripts {
  readonly #objects: Objects
  constructor(objects: Objects) {
    this.#objects = objects
  }

  async save(transcript: Transcript): Promise<void> {
    await this.#objects.put(`transcripts/${transcript.receiptId}.json`, JSON.stringify(transcript), {
      contentType: 'application/json',
    })
  }

  /** The reply as it was sent, or undefined when there is none (yet). */
  async response(receiptId: string): Promise<string | undefined> {
    try {
      return Transcript.parse(await this.#objects.json(`transcripts/${receiptId}.json`)).response
    } catch (error) {
      if (error instanceof OpenLedgerError && error.code === 'not-found') return undefined
      throw error
    }
  }
}
