import * as z from 'zod'
import type { Objects } from '#registry/objects.store'
import { OpenLedgerError } from '#schema/errors'
import type { ClosedEpoch, EpochFile, EpochSource } from './close-epoch.ts'
import { EpochInputs, parseEpochInputs } from './inputs.ts'
import { places } from './places.ts'
import type { LogObject } from './receipt-log.ts'
import { ReceiptsSignature } from './receipts-signature.ts'

const PARALLEL = 8

/** Receipt log and closed epochs in the receipts bucket. */
export class EpochLog {
  readonly #objects: Objects
  constructor(objects: Objects) {
    this.#objects = objects
  }

  async list(epoch: number): Promise<string[]> {
    const found = await this.#objects.list(places.log(epoch))
    return found.map(({ key }) => key).filter((key) => key.endsWith('.jsonl'))
  }

  async fixed(epoch: number): Promise<EpochInputs | undefined> {
    const bytes = await orMissing(this.#objects.bytes(places.inputs(epoch)))
    return bytes && parseEpochInputs(bytes)
  }

  async quarantined(epoch: number): Promise<EpochInputs['quarantined']> {
    const value = await orMissing(this.#objects.json(places.quarantined(epoch)))
    return EpochInputs.shape.quarantined.parse(value ?? [])
  }

  async closed(epoch: number): Promise<EpochFile | undefined> {
    return (await orMissing(this.#objects.json(places.closed(epoch, 'epoch.json')))) as EpochFile | undefined
  }

  async signature(epoch: number): Promise<ReceiptsSignature | undefined> {
    const value = await orMissing(this.#objects.json(places.signature(epoch)))
    return value === undefined ? undefined : ReceiptsSignature.parse(value)
  }

  async saveSignature(epoch: number, signature: ReceiptsSignature): Promise<void> {
    await this.#objects.put(places.signature(epoch), JSON.stringify(signature), { contentType: 'application/json' })
  }

  /** Cumulative balances of a closed epoch. */
  balances(epoch: number): Promise<Uint8Array> {
    return this.#objects.bytes(places.closed(epoch, 'balances.bin'))
  }

  /** What every client paid in a closed epoch, and what of it comes back. */
  async charges(epoch: number): Promise<{ client: string; refunds: bigint }[]> {
    const text = Buffer.from(await this.#objects.bytes(places.closed(epoch, 'charges.jsonl'))).toString()
    const lines = text.split('\n').filter((line) => line !== '')
    return lines.map((line) => {
      const { client, refunds } = JSON.parse(line) as { client: string; refunds: string }
      return { client, refunds: BigInt(refunds) }
    })
  }

  /**
   * The inputs are the commit point. Only an operator's quarantine replaces them, until the epoch is closed or, `again`,
   * when it was vetoed and no later epoch stands on its balances.
   */
  async fix(
    epoch: number,
    objects: string[],
    inputs: Uint8Array,
    { first, again }: { first: boolean; again: boolean },
  ): Promise<void> {
    if (await this.closed(epoch)) await this.#mayReplace(epoch, again)
    if (epoch > 1) {
      const balances = await this.#objects.bytes(places.closed(epoch - 1, 'balances.bin'))
      await this.#objects.put(places.previousBalances(epoch), balances, { once: true })
    }
    const options = { contentType: 'application/json', once: first }
    await this.#objects.put(places.objects(epoch), JSON.stringify(objects), options)
    await this.#objects.put(places.inputs(epoch), inputs, options)
  }

  async source(epoch: number): Promise<EpochSource> {
    const keys = z.array(z.string()).parse(await this.#objects.json(places.objects(epoch)))
    const [inputs, previousBalances] = await Promise.all([
      this.#objects.bytes(places.inputs(epoch)),
      epoch > 1 ? this.#objects.bytes(places.previousBalances(epoch)) : new Uint8Array(),
    ])
    return { inputs, previousBalances, objects: this.inOrder(keys) }
  }

  /** Reads a few objects ahead: the log of an epoch may be larger than the memory. */
  async *inOrder(keys: readonly string[]): AsyncGenerator<LogObject> {
    const ahead: Promise<LogObject>[] = []
    const next = async (name: string) => ({ name, bytes: await this.#objects.bytes(name) })
    for (let at = 0; at < keys.length; at++) {
      while (ahead.length < PARALLEL && at + ahead.length < keys.length) {
        const reading = next(keys[at + ahead.length]!)
        // Its failure is thrown when its turn comes; until then it must not count as unhandled.
        reading.catch(() => undefined)
        ahead.push(reading)
      }
      yield await ahead.shift()!
    }
  }

  /**
   * Writes every file once, `epoch.json` last; the same bytes again are fine, other bytes throw `conflict`. Files of a vetoed
   * epoch that is closed `again` may be replaced while no later epoch stands on them.
   */
  async save({ epoch, files }: ClosedEpoch, again = false): Promise<void> {
    const known = again ? await this.closed(epoch.number) : undefined
    const once = known === undefined || known.root === epoch.root
    if (!once) await this.#mayReplace(epoch.number, again)
    const others = [...files].filter(([name]) => name !== 'epoch.json')
    await inParallel(others, ([name, bytes]) => this.#objects.put(places.closed(epoch.number, name), bytes, { once }))
    await this.#objects.put(places.closed(epoch.number, 'epoch.json'), files.get('epoch.json')!, {
      contentType: 'application/json',
      once,
    })
  }

  async #mayReplace(epoch: number, again: boolean): Promise<void> {
    if (!again) throw new OpenLedgerError('wrong-state', `Epoch ${epoch} is closed.`)
    if (await this.fixed(epoch + 1))
      throw new OpenLedgerError(
        'wrong-state',
        `Epoch ${epoch + 1} stands on epoch ${epoch}: only its root can be proposed.`,
      )
  }
}

const orMissing = async <Value>(read: Promise<Value>): Promise<Value | undefined> => {
  try {
    return await read
  } catch (error) {
    if (error instanceof OpenLedgerError && error.code === 'not-found') return undefined
    throw error
  }
}

const inParallel = async <Item, Result>(
  items: readonly Item[],
  work: (item: Item) => Promise<Result>,
): Promise<Result[]> => {
  const results: Result[] = []
  for (let i = 0; i < items.length; i += PARALLEL)
    results.push(...(await Promise.all(items.slice(i, i + PARALLEL).map(work))))
  return results
}
