import { setTimeout as sleep } from 'node:timers/promises'

/** Keeps something that must never be newer than the embedded AWS: copies it now, and returns how to write the copy. */
export type Participant = () => () => void

interface Servers {
  emulator: { stage(): Promise<void>; commit(): Promise<void> }
  chain: { save(): Promise<void> }
}

const EVERY_MS = 5_000

/**
 * What is on disk after a kill -9, in an order that the product can bear: whoever asked (the example's journal) knows
 * no more than the embedded AWS, and that no more than the L2, as after a crash of a Lambda behind its transaction.
 */
export class Checkpoints {
  readonly #participants: Participant[] = []
  readonly #servers: Servers
  readonly #end = new AbortController()
  #running: Promise<void> = Promise.resolve()

  constructor(servers: Servers) {
    this.#servers = servers
  }

  join(participant: Participant): void {
    this.#participants.push(participant)
  }

  start(): void {
    this.#running = this.#loop()
  }

  async take(): Promise<void> {
    const writes = this.#participants.map((copy) => copy())
    await this.#servers.emulator.stage()
    await this.#servers.chain.save()
    await this.#servers.emulator.commit()
    for (const write of writes) write()
  }

  /** No checkpoint runs or begins after this: the servers may be stopped. */
  async stop(): Promise<void> {
    this.#end.abort()
    await this.#running
  }

  /** After a clean stop of the servers, which saves all of them. */
  last(): void {
    for (const copy of this.#participants) copy()()
  }

  async #loop(): Promise<void> {
    const { signal } = this.#end
    while (!signal.aborted) {
      await sleep(EVERY_MS, undefined, { signal, ref: false }).catch(() => {})
      // A server that died is noticed elsewhere; what was written before stays whole.
      if (!signal.aborted) await this.take().catch(() => {})
    }
  }
}
