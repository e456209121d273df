import type { Objects } from '#registry/objects.store'
import { OpenLedgerError } from '#schema/errors'
import type { EpochFiles } from './ports.ts'

/** The closed epochs in S3, under `epochs/<n>/`. */
export class EpochObjects implements EpochFiles {
  readonly #objects: Objects
  constructor(objects: Objects) {
    this.#objects = objects
  }

  balances(epoch: number): Promise<Uint8Array> {
    return this.#objects.bytes(`epochs/${epoch}/balances.bin`)
  }

  level(epoch: number, level: number): Promise<Uint8Array> {
    return this.#objects.bytes(`epochs/${epoch}/tree/level-${level}.bin`)
  }

  async depth(epoch: number): Promise<number> {
    return ((await this.#objects.json(`epochs/${epoch}/epoch.json`)) as { treeDepth: number }).treeDepth
  }

  async pushes(epoch: number): Promise<number[][] | undefined> {
    try {
      return (await this.#objects.json(`epochs/${epoch}/pushes.json`)) as number[][]
    } catch (error) {
      if (error instanceof OpenLedgerError && error.code === 'not-found') return undefined
      throw error
    }
  }

  async fixPushes(epoch: number, batches: number[][]): Promise<number[][]> {
    const key = `epochs/${epoch}/pushes.json`
    try {
      await this.#objects.put(key, JSON.stringify(batches), { contentType: 'application/json', once: true })
      return batches
    } catch (error) {
      if (!(error instanceof OpenLedgerError) || error.code !== 'conflict') throw error
      return (await this.#objects.json(key)) as number[][]
    }
  }
}
