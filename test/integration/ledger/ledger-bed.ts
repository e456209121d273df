import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CreateTableCommand, DynamoDBClient } from '@aws-sdk/client-dynamodb'
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3'
import { startEmulator } from '../../../local/emulator/emulator.ts'
import { rememberedPorts } from '../../../local/processes/ports.ts'

const schema = (hash: string, range: string) => [
  { AttributeName: hash, KeyType: 'HASH' as const },
  { AttributeName: range, KeyType: 'RANGE' as const },
]

/** The embedded AWS with fresh ledger tables, for tests of money. */
export const ledgerBed = async () => {
  const dir = await mkdtemp(join(tmpdir(), 'ledger-bed-'))
  const { aws: port } = await rememberedPorts(join(dir, 'ports.json'))
  const emulator = await startEmulator({ port, stateDir: join(dir, 'aws'), logFile: join(dir, 'aws.log'), iam: false })
  const credentials = { accessKeyId: 'test', secretAccessKey: 'test' }
  const client = { endpoint: emulator.endpoint, region: emulator.region, credentials }
  const raw = new DynamoDBClient(client)
  let tables = 0
  return {
    client,
    raw,
    /** Makes an empty ledger table with its indexes, and gives its name. */
    async table(name = `Ledger${tables++}`): Promise<string> {
      const keys = ['PK', 'SK', 'GSI1PK', 'GSI1SK', 'PENDINGPK', 'PENDINGSK']
      await raw.send(
        new CreateTableCommand({
          TableName: name,
          BillingMode: 'PAY_PER_REQUEST',
          AttributeDefinitions: keys.map((AttributeName) => ({ AttributeName, AttributeType: 'S' as const })),
          KeySchema: schema('PK', 'SK'),
          GlobalSecondaryIndexes: ['GSI1', 'PENDING'].map((IndexName) => ({
            IndexName,
            KeySchema: schema(`${IndexName}PK`, `${IndexName}SK`),
            Projection: { ProjectionType: 'ALL' as const },
          })),
        }),
      )
      return name
    },
    async bucket(name: string): Promise<S3Client> {
      const s3 = new S3Client({ ...client, forcePathStyle: true, requestChecksumCalculation: 'WHEN_REQUIRED' })
      await s3.send(new CreateBucketCommand({ Bucket: name }))
      return s3
    },
    async stop(): Promise<void> {
      await emulator.stop()
      await rm(dir, { recursive: true, force: true })
    },
  }
}

export type LedgerBed = Awaited<ReturnType<typeof ledgerBed>>
