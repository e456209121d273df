import { randomBytes } from 'node:crypto'
import { Readable } from 'node:stream'
import middy from '@middy/core'
import { executionModeStreamifyResponse } from '@middy/core/StreamifyResponse'
import type { APIGatewayProxyEvent } from 'aws-lambda'
import { Balances } from '#ledger/balances.store'
import { Claims } from '#ledger/claims.store'
import { Receipts } from '#ledger/receipts.store'
import { Objects } from '#registry/objects.store'
import { Records } from '#registry/records.store'
import { callerOf, header, json } from '#runtime/api-door'
import { newId, now } from '#runtime/clock'
import { environment } from '#runtime/environment'
import { problem } from '#runtime/problem'
import { answer, HOLD_SECONDS } from './answer.ts'
import { HostingDays } from './hosting-days.store.ts'
import { inferenceSecret } from './inference-secret.client.ts'
import { Models } from './models.store.ts'
import { PoolBook } from './pool-book.store.ts'
import { PoolUsage } from './pool-usage.ts'
import type { Call, Ports } from './ports.ts'
import { parseBody } from './request.ts'
import { askInOrder } from './serving.client.ts'
import { Transcripts } from './transcripts.store.ts'
import { wakePool } from './wake.client.ts'

const env = environment(
  'REGISTRY_TABLE',
  'LEDGER_TABLE',
  'RECEIPTS_BUCKET',
  'INFERENCE_SECRET_ARN',
  'PLATFORM_FEE_BPS',
  'PLATFORM_PAYEE',
  'WAKE_STATE_MACHINE_ARN',
  'HOSTING_DAILY_HOURS',
)
const records = new Records(env.REGISTRY_TABLE)
const models = new Models(records)
const usage = new PoolUsage(new PoolBook(records))
const days = new HostingDays(records)
const balances = new Balances(env.LEDGER_TABLE)
const claims = new Claims(env.LEDGER_TABLE)
const receipts = new Receipts(env.LEDGER_TABLE)
const transcripts = new Transcripts(new Objects(env.RECEIPTS_BUCKET))
const seconds = () => Math.floor(now().getTime() / 1000)

const ports: Ports = {
  resolve: (model, receiptId) => models.resolve(model, receiptId),
  claim: (receiptId) => claims.claim(receiptId, seconds(), HOLD_SECONDS),
  unclaim: (receiptId) => claims.unclaim(receiptId),
  settled: async (receiptId) => (await receipts.find(receiptId)) !== undefined,
  earlier: (receiptId) => transcripts.response(receiptId),
  reserve: (hold) => balances.reserve({ ...hold, now: seconds(), expires: seconds() + HOLD_SECONDS }),
  release: (hold) => balances.release(hold, hold.amount),
  settle: (hold, bill) => balances.settle(hold, bill),
  ask: async (served, body) => {
    const secret = (afresh: boolean) => inferenceSecret(env.INFERENCE_SECRET_ARN, now().getTime(), afresh)
    const wake = async () => {
      await days.requireLeft(Number(env.HOSTING_DAILY_HOURS), now())
      await wakePool(env.WAKE_STATE_MACHINE_ARN, served.pool, seconds())
    }
    const chunks = await askInOrder(served.shards, served.adapter.id, body, { secret, nowSeconds: seconds(), wake })
    await usage.note(served.pool, now())
    return chunks
  },
  saveTranscript: (transcript) => transcripts.save(transcript),
  linkedTo: (accountId) => models.linkedTo(accountId),
  newReceiptId: () => newId('rcp'),
  newSalt: () => randomBytes(16).toString('hex'),
  now,
  platform: { feeBps: Number(env.PLATFORM_FEE_BPS), payee: env.PLATFORM_PAYEE },
}

export const handler = middy<APIGatewayProxyEvent>({ executionMode: executionModeStreamifyResponse })
  .onError((request) => {
    request.response = problem(request.error, request.event)
  })
  .handler(async (event) => {
    const caller = callerOf(event, 'client') as Call['caller']
    const reply = await answer(ports, {
      caller,
      body: parseBody(event.path, json(event)),
      idempotencyKey: header(event, 'idempotency-key'),
    })
    return reply.stream
      ? {
          statusCode: 200,
          headers: { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' },
          body: Readable.from(reply.events),
        }
      : { statusCode: 200, headers: { 'content-type': 'application/json' }, body: reply.text }
  })
