import { CfnOutput, Duration, RemovalPolicy } from 'aws-cdk-lib'
import { Key, KeySpec, KeyUsage } from 'aws-cdk-lib/aws-kms'
import { Construct } from 'constructs'
import type { Doors } from './api.ts'
import { ChainWorkers } from './chain-workers.ts'
import { House } from './constructs/house.ts'
import { MoneyFunction } from './constructs/money-function.ts'
import { HouseSchedule } from './constructs/schedule.ts'
import type { WorkQueue } from './constructs/work-queue.ts'
import { EpochClose } from './epoch-close.ts'
import type { Storage } from './storage.ts'

/** From completed receipts to paid people: receipt log, epoch close, settler, watcher, deposits. */
export class Settlement extends Construct {
  readonly doors: Doors

  constructor(scope: Construct, id: string, { storage, receiptLog }: { storage: Storage; receiptLog: WorkQueue }) {
    super(scope, id)
    const { config } = House.of(this)
    const { chain } = config
    const settlerKey = this.#signingKey('Settler')
    const watcherKey = this.#signingKey('Watcher')

    const writer = new MoneyFunction(this, 'WriteReceiptLog', storage, {
      verb: 'write-receipt-log',
      description: 'Completed receipts to the log',
      timeout: Duration.minutes(1),
    })
      .ledger('dynamodb:GetItem')
      .objects(['receipt-log/*'], 's3:PutObject', 's3:GetObject')
    receiptLog.feeds(writer, { batchSize: 500, batchWindow: Duration.seconds(1), maxConcurrency: 5 })

    const workers = chain && new ChainWorkers(this, 'Chain', { storage, chain, settlerKey, watcherKey })
    const receiptsKey = this.#key('Receipts', KeySpec.ECC_NIST_P256, 'Signs the receipts root of each epoch')
    const { flow } = new EpochClose(this, 'Epoch', {
      ...{ storage, receiptsKey },
      ...(workers ? { settler: workers.settler } : {}),
    })
    new HouseSchedule(this, 'CloseSchedule', {
      expression: config.epoch.schedule,
      target: flow,
      description: 'Epoch close',
      errorImpact: 'Nobody is paid for this epoch until it is closed.',
    })
    const onChain = chain ? { CHAIN_ID: String(chain.chainId), SETTLEMENT_ADDRESS: chain.settlement } : {}
    this.doors = {
      closeEpoch: new MoneyFunction(this, 'CloseEpoch', storage, {
        verb: 'close-epoch',
        description: 'Close the open epoch now',
        environment: { EPOCH_STATE_MACHINE_ARN: flow.stateMachineArn },
      })
        .allow(['states:StartExecution'], [flow.stateMachineArn])
        .ledger('dynamodb:GetItem'),
      listEpochs: new MoneyFunction(this, 'ListEpochs', storage, {
        verb: 'list-epochs',
        description: 'Epochs',
      }).ledgerIndex(),
      listReceiptKeys: new MoneyFunction(this, 'ListReceiptKeys', storage, {
        verb: 'list-receipt-keys',
        description: 'Published keys that sign receipts',
        environment: {
          RECEIPTS_KEY_ID: receiptsKey.keyArn,
          PAST_RECEIPT_KEYS: JSON.stringify(config.epoch.pastReceiptKeys),
        },
      }).allow(['kms:GetPublicKey', 'kms:DescribeKey'], [receiptsKey.keyArn]),
      getPayee: new MoneyFunction(this, 'GetPayee', storage, {
        verb: 'get-payee',
        description: 'Accrued and claimable of an address',
        environment: { REGISTRY_TABLE: storage.registry.tableName },
        memoryMb: 1024,
      })
        .ledgerIndex()
        .registry('dynamodb:GetItem')
        .objects(['epochs/*'], 's3:GetObject'),
      getReceiptProof: new MoneyFunction(this, 'GetReceiptProof', storage, {
        verb: 'get-receipt-proof',
        description: 'Proof of a receipt',
        environment: onChain,
      })
        .ledger('dynamodb:GetItem')
        .objects(['epochs/*'], 's3:GetObject'),
    }
    new CfnOutput(this, 'ReceiptsBucketName', { value: storage.receipts.bucketName }).overrideLogicalId(
      'ReceiptsBucketName',
    )
  }

  /** secp256k1 in KMS: the key that signs never leaves it. Its address is what the contracts are told. */
  #signingKey(name: 'Settler' | 'Watcher'): Key {
    const key = this.#key(name, KeySpec.ECC_SECG_P256K1, `${name} of OpenLedger's settlement`)
    new CfnOutput(this, `${name}KeyArn`, { value: key.keyArn }).overrideLogicalId(`${name}KeyArn`)
    return key
  }

  #key(name: string, keySpec: KeySpec, description: string): Key {
    const removalPolicy = House.of(this).config.stage === 'prod' ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY
    return new Key(this, `${name}Key`, { keySpec, keyUsage: KeyUsage.SIGN_VERIFY, description, removalPolicy })
  }
}
