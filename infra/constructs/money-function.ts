import { Duration } from 'aws-cdk-lib'
import type { Construct } from 'constructs'
import type { Environment } from '#schema/env'
import type { Storage } from '../storage.ts'
import { HouseFunction } from './house-function.ts'

/** A function of the settlement room: knows ledger and receipts bucket by name, and may touch of them what it names. */
export class MoneyFunction extends HouseFunction {
  readonly #storage: Storage

  constructor(
    scope: Construct,
    id: string,
    storage: Storage,
    props: { verb: string; description: string; environment?: Environment; timeout?: Duration; memoryMb?: number },
  ) {
    const { verb, description, environment, timeout = Duration.seconds(29), memoryMb = 512 } = props
    const tables = { LEDGER_TABLE: storage.ledger.tableName, RECEIPTS_BUCKET: storage.receipts.bucketName }
    super(scope, id, {
      ...{ door: `settlement/${verb}`, description, timeout, memoryMb },
      environment: { ...tables, ...environment },
    })
    this.#storage = storage
  }

  ledger(...actions: string[]): this {
    return this.allow(actions, [this.#storage.ledger.tableArn])
  }
  ledgerIndex(): this {
    return this.allow(['dynamodb:Query'], [`${this.#storage.ledger.tableArn}/index/GSI1`])
  }
  registry(...actions: string[]): this {
    return this.allow(actions, [this.#storage.registry.tableArn])
  }
  /** Objects below the prefixes. The bucket's key belongs to it: whoever reads or writes there needs it too. */
  objects(prefixes: string[], ...actions: string[]): this {
    const { receipts, transcriptsKey } = this.#storage
    return this.allow(
      actions,
      prefixes.map((prefix) => receipts.arnForObjects(prefix)),
    )
      .allow(['s3:ListBucket'], [receipts.bucketArn])
      .allow(actions.includes('s3:PutObject') ? ['kms:Decrypt', 'kms:GenerateDataKey'] : ['kms:Decrypt'], [
        transcriptsKey.keyArn,
      ])
  }
}
