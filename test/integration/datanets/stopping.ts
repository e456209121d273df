import { StopExecutionCommand } from '@aws-sdk/client-sfn'
import { describe, expect, test } from 'vitest'
import { IngestionRecords } from '../../../functions/datanets/ingestion-records.store.ts'
import { RegistryTransactions } from '../../../functions/datanets/registry-transaction.store.ts'
import { call, eventually, executions } from './platform.ts'
import { announce, found, jsonl, sentence, settled, upload, type World } from './world.ts'

const REASON = { code: 'ingestion-failed', detail: 'stopped' } as const
const NOW = '2026-01-01T00:00:00.000Z'

/** An execution that is stopped leaves a function running: AWS does not end a Lambda with its execution. */
export const stopping = (world: () => World): void => {
  describe('stopping an ingestion', () => {
    test('an ingestion stopped from outside is recorded, and holds nobody up', async () => {
      const { curator, contributor, platform } = world()
      const there = { contributor, datanetId: await found(curator, contributor) }
      const before = new Set((await executions(platform)).map(({ executionArn }) => executionArn))
      const stopped = await upload(there, jsonl(Array.from({ length: 3000 }, (_, n) => sentence(n))), 'a.jsonl')
      const running = await eventually(async () =>
        (await executions(platform)).find(({ executionArn }) => !before.has(executionArn)),
      )
      // Once it is claimed: before that nothing is bound to the execution.
      await eventually(async () => {
        const { body } = await call('get-contribution', contributor, {
          params: { datanetId: there.datanetId, contributionId: stopped },
        })
        return body.state === 'awaiting-upload' ? undefined : body
      })
      await platform.sfn.send(new StopExecutionCommand({ executionArn: running.executionArn }))
      expect(await settled(there, stopped)).toMatchObject({ state: 'rejected', reason: { code: 'ingestion-failed' } })
      const next = await upload(there, jsonl([sentence(1), sentence(2)]), 'b.jsonl')
      expect(await settled(there, next)).toMatchObject({ state: 'accepted', version: 1 })
    })

    const records = (registry = new RegistryTransactions(world().platform.outputs['Registry'] ?? '')) =>
      new IngestionRecords(registry)
    const announced = async () => {
      const there = { contributor: world().contributor, datanetId: await found(world().curator, world().contributor) }
      const { body } = await announce(there, jsonl([sentence(1)]), 'a.jsonl')
      return { ...there, contributionId: body.contribution.id as string, versionId: 'v1' }
    }
    const queue = (datanetId: string) => records().firstTicket(datanetId, '')

    test('a function that outlives its execution takes no place in the queue', async () => {
      const one = await announced()
      expect(await records().claim(one, 'exec-1')).toBe(true)
      expect(await records().reject(one, 'exec-2', REASON)).toBe(false)
      expect(await records().reject(one, 'exec-1', REASON)).toBe(true)
      expect(await records().takeTicket(one, NOW)).toBeUndefined()
      expect(await queue(one.datanetId)).toBeUndefined()
    })

    test('a place that was taken while the stop was recorded is given back', async () => {
      const one = await announced()
      await records().claim(one, 'exec-1')
      /** Between what the stop read and what it writes, the function takes its ticket. */
      class Late extends RegistryTransactions {
        taken: number | undefined
        override async write(writes: Parameters<RegistryTransactions['write']>[0]): Promise<boolean> {
          this.taken ??= await records().takeTicket(one, NOW)
          return super.write(writes)
        }
      }
      const registry = new Late(world().platform.outputs['Registry'] ?? '')
      expect(await records(registry).reject(one, 'exec-1', REASON)).toBe(true)
      expect(registry.taken).toBeGreaterThan(0)
      expect(await queue(one.datanetId)).toBeUndefined()
    })

    test('one that is stopped before it claimed the upload is rejected, and claims it no more', async () => {
      const one = await announced()
      expect(await records().reject(one, 'exec-1', REASON)).toBe(true)
      expect(await records().claim(one, 'exec-1')).toBe(false)
      expect(await settled(one, one.contributionId)).toMatchObject({ state: 'rejected', reason: REASON })
      expect(await records().reject(one, 'exec-1', REASON)).toBe(false)
    })
  })
}
