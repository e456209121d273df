import { feeOf } from '#ledger/fee'
import type { Hold } from '#ledger/hold'
import { OpenLedgerError } from '#schema/errors'
import { Bill } from './bill.ts'
import type { Call, Ports } from './ports.ts'
import { asChunk, collect, type Reply } from './reply.ts'
import { receiptIdFor, servingBody, worstCase } from './request.ts'
import { asEvent } from './server-sent-events.ts'
import { streamed } from './streamed-answer.ts'

/** Longer than the function's own limit of 15 minutes: a hold is never swept under a living request. */
export const HOLD_SECONDS = 960

type Answer = { stream: false; text: string } | { stream: true; events: AsyncGenerator<string> }

/**
 * One inference: reserve the worst case, ask the model, settle what was used, and only then let the last piece go out.
 * Nothing delivered is free, nothing undelivered is charged.
 */
export const answer = async (ports: Ports, call: Call): Promise<Answer> => {
  const receiptId = call.idempotencyKey
    ? receiptIdFor(call.caller.accountId, call.idempotencyKey)
    : ports.newReceiptId()
  if (call.idempotencyKey && !(await ports.claim(receiptId))) return repeated(ports, call, receiptId)
  try {
    return await fresh(ports, call, receiptId)
  } catch (error) {
    // Nothing was delivered: the same key may try again at once.
    if (call.idempotencyKey) await ports.unclaim(receiptId)
    throw error
  }
}

const fresh = async (ports: Ports, call: Call, receiptId: string): Promise<Answer> => {
  const served = await ports.resolve(call.body.model, receiptId)
  const { adapter } = served
  const worst = feeOf(worstCase(call.body, adapter.maxTokens), adapter.price, ports.platform.feeBps).fee
  const hold = await ports.reserve({
    receiptId,
    accountId: call.caller.accountId,
    amount: worst,
    key: keyOf(call.caller),
  })
  const request = servingBody(call.body, adapter.id)
  const chunks = await orRelease(ports, hold, () => ports.ask(served, request))
  const bill = new Bill(ports, call, served, hold, request)
  if (call.body.stream) return { stream: true, events: streamed(bill, chunks) }
  return orRelease(ports, hold, async () => {
    const reply = JSON.parse(await collect(chunks)) as Reply
    return { stream: false, text: await bill.settle(reply, reply['usage'], 'stop') }
  })
}

const keyOf = (caller: Call['caller']): Hold['key'] => ({
  id: caller.keyId,
  ...(caller.budget === undefined ? {} : { budget: BigInt(caller.budget) }),
  ...(caller.ratePerMinute === undefined ? {} : { ratePerMinute: caller.ratePerMinute }),
})

const repeated = async (ports: Ports, call: Call, receiptId: string): Promise<Answer> => {
  const text = (await ports.settled(receiptId)) ? await ports.earlier(receiptId) : undefined
  if (!text)
    throw new OpenLedgerError('request-in-flight', 'A request with this Idempotency-Key is still being answered.', {
      retryAfter: 5,
    })
  if (!call.body.stream) return { stream: false, text }
  return {
    stream: true,
    events: (async function* () {
      yield asEvent(asChunk(JSON.parse(text)))
      yield asEvent('[DONE]')
    })(),
  }
}

const orRelease = async <Value>(ports: Ports, hold: Hold, work: () => Promise<Value>): Promise<Value> => {
  try {
    return await work()
  } catch (error) {
    await ports.release(hold)
    throw error
  }
}
