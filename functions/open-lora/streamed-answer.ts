import { OpenLedgerError } from '#schema/errors'
import type { Bill } from './bill.ts'
import { gather, type Reply, usageOf } from './reply.ts'
import { asEvent, eventData } from './server-sent-events.ts'

/**
 * Passes the chunks on, and keeps back the last ones until the money is settled. Where the answer breaks, the settle
 * fails or the caller goes away, the tokens made up to the last chunk that went out are charged, and no more.
 */
export async function* streamed(bill: Bill, chunks: AsyncIterable<Uint8Array>): AsyncGenerator<string> {
  const sent: Reply[] = []
  const kept: Reply[] = []
  let settled = false
  const settleBroken = async (finish: 'error' | 'cancelled') => {
    settled = true
    await bill.settleBroken(gather(sent), usageOf(sent), finish)
  }
  try {
    for await (const data of eventData(chunks)) {
      if (data === '[DONE]') break
      const chunk = JSON.parse(data) as Reply
      if (chunk['error']) throw new OpenLedgerError('unavailable', String(chunk['error'].message))
      if (kept.length > 0 || finishes(chunk)) kept.push(chunk)
      else {
        // Before the yield: who hangs up in it has been sent this chunk.
        sent.push(chunk)
        yield asEvent(forCaller(chunk))
      }
    }
    const last = kept.findLast((chunk) => chunk['openledger'] && chunk['usage'])
    if (!last) throw new OpenLedgerError('unavailable', 'The model stopped in the middle of its answer.')
    const parts = [...sent, ...kept.filter((chunk) => chunk['choices']?.length)]
    const whole = { ...gather(parts), openledger: last['openledger'] }
    const receipt = JSON.parse(await bill.settle(whole, last['usage'], 'stop'))['openledger']
    settled = true
    for (const chunk of kept) {
      const final = !chunk['choices']?.length
      if (!final) yield asEvent({ ...forCaller(chunk), openledger: receipt })
      else if (bill.wantsUsage) yield asEvent({ ...forCaller(chunk), usage: chunk['usage'], openledger: receipt })
    }
    yield asEvent('[DONE]')
  } catch (error) {
    if (!settled) await settleBroken('error')
    const known =
      error instanceof OpenLedgerError
        ? error
        : new OpenLedgerError('unavailable', 'The answer broke off; what was made is charged.')
    yield asEvent({ error: { message: known.message, type: 'server_error', code: known.code, param: null } })
  } finally {
    if (!settled) await settleBroken('cancelled')
  }
}

/** The model is done: from this chunk on nothing goes out before the settle. */
const finishes = (chunk: Reply): boolean =>
  !chunk['choices']?.length || chunk['choices'].some((choice: Reply) => choice['finish_reason'])

/** Without what only we asked the model for: the transcript, and the count of tokens so far. */
const forCaller = ({ openledger: _transcript, usage: _soFar, ...chunk }: Reply): Reply => chunk
