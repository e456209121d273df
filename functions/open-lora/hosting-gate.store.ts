import * as z from 'zod'
import { keys } from '#registry/keys'
import type { Records } from '#registry/records.store'
import { OpenLedgerError } from '#schema/errors'

const Gate = z.object({ open: z.boolean(), at: z.iso.datetime() })

/** Whether endpoints may be made at all: shut when the stack goes, so that no flow that still runs brings one back. */
export class HostingGate {
  readonly #records: Records
  constructor(records: Records) {
    this.#records = records
  }

  set = (open: boolean, now: Date): Promise<void> =>
    this.#records.put(keys.hostingGate(), { open, at: now.toISOString() })

  /** Throws `unavailable` when it is shut; a deployment that never shut it is open. */
  async requireOpen(): Promise<void> {
    const gate = await this.#records.find(Gate, keys.hostingGate())
    if (gate?.open === false)
      throw new OpenLedgerError('unavailable', `This deployment is being taken down since ${gate.at}.`)
  }
}
