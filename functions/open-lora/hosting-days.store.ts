import * as z from 'zod'
import { keys } from '#registry/keys'
import type { Records } from '#registry/records.store'
import { OpenLedgerError } from '#schema/errors'
import { type Endpoint, instanceSeconds } from './plan-sweep.ts'

const Day = z.object({ seconds: z.number().int().min(0), countedAt: z.iso.datetime() })

/** Instance-seconds of a day (UTC), counted by the janitor; each stretch of time once, whoever counts it. */
export class HostingDays {
  readonly #records: Records
  constructor(records: Records) {
    this.#records = records
  }

  async seconds(now: Date): Promise<number> {
    return (await this.#records.find(Day, keys.hostingDay(dayOf(now))))?.seconds ?? 0
  }

  /** Throws `unavailable` when the day's instance-hours are spent; 0 hours: no limit. */
  async requireLeft(hours: number, now: Date): Promise<void> {
    if (hours === 0 || (await this.seconds(now)) < hours * 3600) return
    const midnight = Date.parse(`${dayOf(now)}T00:00:00.000Z`) + 86_400_000
    throw new OpenLedgerError(
      'unavailable',
      `The ${hours} instance-hours of the day (hosting.dailyInstanceHours) are spent: the next begin at 00:00 UTC.`,
      { retryAfter: Math.ceil((midnight - now.getTime()) / 1000) },
    )
  }

  /** Adds what ran since it was last counted, or since midnight; returns the day's sum. */
  async count(endpoints: readonly Endpoint[], now: Date): Promise<number> {
    const key = keys.hostingDay(dayOf(now))
    const before = await this.#records.find(Day, key)
    const from = new Date(before?.countedAt ?? `${dayOf(now)}T00:00:00.000Z`)
    const seconds = (before?.seconds ?? 0) + instanceSeconds(endpoints, from, now)
    const counted = { seconds, countedAt: now.toISOString() }
    try {
      if (!before) await this.#records.create(key, counted)
      else await this.#records.change(Day, key, counted, { countedAt: before.countedAt })
      return seconds
    } catch (error) {
      const other = error instanceof OpenLedgerError && ['already-exists', 'wrong-state'].includes(error.code)
      if (!other) throw error
      return this.seconds(now) // another run counted this stretch
    }
  }
}

const dayOf = (time: Date): string => time.toISOString().slice(0, 10)
