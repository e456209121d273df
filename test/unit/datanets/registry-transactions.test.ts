import { TransactionCanceledException } from '@aws-sdk/client-dynamodb'
import type { DynamoDBDocumentClient } from '@aws-sdk/lib-dynamodb'
import { describe, expect, it } from 'vitest'
import { RegistryTransactions } from '../../../functions/datanets/registry-transaction.store.ts'

const cancelled = (...codes: string[]) =>
  new TransactionCanceledException({
    $metadata: {},
    message: 'cancelled',
    CancellationReasons: codes.map((Code) => ({ Code })),
  })

/** A table that answers with these failures first; the emulator never raises a conflict by itself. */
const failing = (...failures: Error[]) => {
  let calls = 0
  const client = {
    send: async () => {
      calls++
      const failure = failures.shift()
      if (failure) throw failure
      return {}
    },
  } as unknown as DynamoDBDocumentClient
  return { registry: new RegistryTransactions('table', client), calls: () => calls }
}
const writes = (registry: RegistryTransactions) => [registry.put({ PK: 'a', SK: 'b' }, {}, true)]

describe('transactions on the registry', () => {
  it('tries again when another transaction was in the way', async () => {
    const { registry, calls } = failing(cancelled('None', 'TransactionConflict'), cancelled('TransactionConflict'))
    expect(await registry.write(writes(registry))).toBe(true)
    expect(calls()).toBe(3)
  })

  it('says no when a condition does not hold, and does not ask again', async () => {
    const { registry, calls } = failing(cancelled('ConditionalCheckFailed', 'TransactionConflict'))
    expect(await registry.write(writes(registry))).toBe(false)
    expect(calls()).toBe(1)
  })

  it('gives up as overloaded, never with a false no', async () => {
    const { registry } = failing(...Array.from({ length: 10 }, () => cancelled('TransactionConflict')))
    await expect(registry.write(writes(registry))).rejects.toMatchObject({ code: 'overloaded' })
  })

  it('lets every other failure through', async () => {
    for (const failure of [cancelled('ThrottlingError'), new Error('network')]) {
      const { registry } = failing(failure)
      await expect(registry.write(writes(registry))).rejects.toBe(failure)
    }
  })
})
