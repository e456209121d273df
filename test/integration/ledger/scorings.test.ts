import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CreateTableCommand, DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { ledgerClient } from '../../../functions/ledger/ledger-table.store.ts'
import { Scorings } from '../../../functions/ledger/scorings.store.ts'
import { type Emulator, startEmulator } from '../../../local/emulator/emulator.ts'
import { rememberedPorts } from '../../../local/processes/ports.ts'
import { receiptId } from '../../unit/epoch/epoch-factory.ts'

let emulator: Emulator
let dir: string
let scorings: Scorings

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'scorings-'))
  const { aws: port } = await rememberedPorts(join(dir, 'ports.json'))
  emulator = await startEmulator({ port, stateDir: join(dir, 'aws'), logFile: join(dir, 'aws.log'), iam: false })
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' }
  const raw = new DynamoDBClient({ endpoint: emulator.endpoint, region: emulator.region, credentials })
  await raw.send(
    new CreateTableCommand({
      TableName: 'Scorings',
      BillingMode: 'PAY_PER_REQUEST',
      AttributeDefinitions: ['PK', 'SK'].map((AttributeName) => ({ AttributeName, AttributeType: 'S' as const })),
      KeySchema: [
        { AttributeName: 'PK', KeyType: 'HASH' },
        { AttributeName: 'SK', KeyType: 'RANGE' },
      ],
    }),
  )
  scorings = new Scorings('Scorings', ledgerClient(raw))
})
afterAll(async () => {
  await emulator?.stop()
  await rm(dir, { recursive: true, force: true })
})

const at = (minute: number) => new Date(Date.UTC(2026, 0, 1, 0, minute))
const iso = (minute: number) => at(minute).toISOString()

test('what was asked is known by receipt and by request; a failure counts for the newest request only', async () => {
  const ids = Array.from({ length: 40 }, (_, i) => receiptId(i))
  expect(await scorings.find(ids[0]!)).toBeUndefined()
  await expect(scorings.receiptsOf('failures/1')).rejects.toMatchObject({ code: 'not-found' })
  await scorings.asked('failures/1', ids, at(0), at(60))
  expect(await scorings.receiptsOf('failures/1')).toEqual(ids)
  for (const id of ids)
    expect(await scorings.find(id)).toEqual({ state: 'asked', attempts: 1, at: iso(0), nextAt: iso(60) })

  expect(await scorings.failed('failures/1', ids[0]!, 'expired', at(5), at(6))).toBe(true)
  const failed = { state: 'failed', attempts: 1, at: iso(5), nextAt: iso(6), failure: 'expired' }
  expect(await scorings.find(ids[0]!)).toEqual(failed)

  await scorings.asked('failures/2', [ids[0]!], at(6), at(66))
  expect(await scorings.failed('failures/1', ids[0]!, 'endpoint-failed', at(7), at(8))).toBe(false)
  // It says what went wrong last, also while it is asked again.
  const again = { state: 'asked', attempts: 2, at: iso(6), nextAt: iso(66), failure: 'expired' }
  expect(await scorings.find(ids[0]!)).toEqual(again)
  expect(await scorings.failed('failures/2', ids[1]!, 'expired', at(7), at(8))).toBe(false)
})
