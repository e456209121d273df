import { CfnOutput, Duration, RemovalPolicy } from 'aws-cdk-lib'
import { Alarm, ComparisonOperator, TreatMissingData } from 'aws-cdk-lib/aws-cloudwatch'
import { Key, KeySpec, KeyUsage } from 'aws-cdk-lib/aws-kms'
import {
  Choice,
  Condition,
  DefinitionBody,
  Fail,
  JsonPath,
  LogLevel,
  Pass,
  StateMachine,
  Succeed,
  TaskInput,
  Wait,
  WaitTime,
} from 'aws-cdk-lib/aws-stepfunctions'
import { LambdaInvoke } from 'aws-cdk-lib/aws-stepfunctions-tasks'
import { Construct } from 'constructs'
import type { Environment } from '#schema/env'
import type { Doors } from './api.ts'
import { flowLogs } from './constructs/flow-logs.ts'
import { House } from './constructs/house.ts'
import { HouseFunction } from './constructs/house-function.ts'
import { HouseSchedule } from './constructs/schedule.ts'
import type { WorkQueue } from './constructs/work-queue.ts'
import { OPERATOR_PAYEE, PLATFORM_PAYEE, TREASURY_PAYEE } from './settlement-parties.ts'
import type { Storage } from './storage.ts'

/** From completed receipts to paid people: receipt log, epoch close, settler, deposits. */
export class Settlement extends Construct {
  readonly doors: Doors
  readonly #storage: Storage

  constructor(scope: Construct, id: string, { storage, receiptLog }: { storage: Storage; receiptLog: WorkQueue }) {
    super(scope, id)
    this.#storage = storage
    const { config } = House.of(this)
    const { ledger, registry, receipts } = storage
    const settlerKey = this.#signingKey('Settler')
    this.#signingKey('Watcher')

    const writer = this.#function(
      'WriteReceiptLog',
      'write-receipt-log',
      'Completed receipts to the log',
      {},
      Duration.minutes(1),
    )
    this.#ledger(writer, ['dynamodb:GetItem'])
    this.#objects(writer, ['receipt-log/*'], ['s3:PutObject', 's3:GetObject'])
    receiptLog.feeds(writer, { batchSize: 500, batchWindow: Duration.seconds(1), maxConcurrency: 5 })

    const settler = config.chain && this.#settler(config.chain, settlerKey)
    const flow = this.#closeFlow(settler)
    new HouseSchedule(this, 'CloseSchedule', {
      expression: config.epoch.schedule,
      target: flow,
      description: 'Epoch close',
      errorImpact: 'Nobody is paid for this epoch until it is closed.',
    })

    const close = this.#function('CloseEpoch', 'close-epoch', 'Close the open epoch now', {
      EPOCH_STATE_MACHINE_ARN: flow.stateMachineArn,
    }).allow(['states:StartExecution'], [flow.stateMachineArn])
    this.#ledger(close, ['dynamodb:GetItem'])
    const list = this.#function('ListEpochs', 'list-epochs', 'Epochs').allow(
      ['dynamodb:Query'],
      [`${ledger.tableArn}/index/GSI1`],
    )
    const payee = this.#function(
      'GetPayee',
      'get-payee',
      'Accrued and claimable of an address',
      { REGISTRY_TABLE: registry.tableName },
      Duration.seconds(29),
      1024,
    ).allow(['dynamodb:Query'], [`${ledger.tableArn}/index/GSI1`, registry.tableArn])
    this.#objects(payee, ['epochs/*'], ['s3:GetObject'])
    const proof = this.#function(
      'GetReceiptProof',
      'get-receipt-proof',
      'Proof of a receipt',
      config.chain ? { CHAIN_ID: String(config.chain.chainId), SETTLEMENT_ADDRESS: config.chain.settlement } : {},
    )
    this.#ledger(proof, ['dynamodb:GetItem'])
    this.#objects(proof, ['epochs/*'], ['s3:GetObject'])
    this.doors = { closeEpoch: close, listEpochs: list, getPayee: payee, getReceiptProof: proof }
    // The bucket's key belongs to it: whoever reads or writes there needs it too.
    for (const user of [writer, payee, proof])
      user.allow(['kms:Decrypt', 'kms:GenerateDataKey'], [storage.transcriptsKey.keyArn])
    new CfnOutput(this, 'ReceiptsBucketName', { value: receipts.bucketName }).overrideLogicalId('ReceiptsBucketName')
  }

  #function(
    name: string,
    verb: string,
    description: string,
    environment: Environment = {},
    timeout = Duration.seconds(29),
    memoryMb = 512,
  ): HouseFunction {
    const { ledger, receipts } = this.#storage
    return new HouseFunction(this, name, {
      door: `settlement/${verb}`,
      description,
      timeout,
      memoryMb,
      environment: { LEDGER_TABLE: ledger.tableName, RECEIPTS_BUCKET: receipts.bucketName, ...environment },
    })
  }
  #ledger(made: HouseFunction, actions: string[]): void {
    made.allow(actions, [this.#storage.ledger.tableArn])
  }
  #objects(made: HouseFunction, prefixes: string[], actions: string[]): void {
    made
      .allow(
        actions,
        prefixes.map((prefix) => this.#storage.receipts.arnForObjects(prefix)),
      )
      .allow(['s3:ListBucket'], [this.#storage.receipts.bucketArn])
  }

  /** secp256k1 in KMS: the key that signs never leaves it. Its address is what the contracts are told. */
  #signingKey(name: 'Settler' | 'Watcher'): Key {
    const key = new Key(this, `${name}Key`, {
      keySpec: KeySpec.ECC_SECG_P256K1,
      keyUsage: KeyUsage.SIGN_VERIFY,
      description: `${name} of OpenLedger's settlement`,
      removalPolicy: House.of(this).config.stage === 'prod' ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
    })
    new CfnOutput(this, `${name}KeyArn`, { value: key.keyArn }).overrideLogicalId(`${name}KeyArn`)
    return key
  }

  /** begin -> grace -> fix the log -> calculate twice -> record -> settler. Refusals stop it before anything is signed. */
  #closeFlow(settler: HouseFunction | undefined): StateMachine {
    const { config } = House.of(this)
    const { registry, transcriptsKey } = this.#storage
    const address = (name: 'PLATFORM_ADDRESS' | 'OPERATOR_ADDRESS', value: string | undefined) =>
      value ? { [name]: value } : {}
    const begin = this.#function('BeginClose', 'close-epoch-begin', 'Which epoch closes', {
      EPOCH_GRACE_SECONDS: String(config.epoch.graceSeconds),
    })
    this.#ledger(begin, ['dynamodb:GetItem', 'dynamodb:Query', 'dynamodb:UpdateItem'])
    const fix = this.#function(
      'FixClose',
      'close-epoch-fix',
      'Fixes everything that decides the epoch',
      {
        REGISTRY_TABLE: registry.tableName,
        PLATFORM_PAYEE,
        TREASURY_PAYEE,
        OPERATOR_PAYEE,
        ...address('PLATFORM_ADDRESS', config.platform.address),
        ...address('OPERATOR_ADDRESS', config.platform.operatorAddress),
      },
      Duration.minutes(10),
      1769,
    ).allow(['dynamodb:GetItem'], [registry.tableArn])
    this.#ledger(fix, ['dynamodb:GetItem', 'dynamodb:Query'])
    this.#objects(fix, ['receipt-log/*', 'epochs/*'], ['s3:GetObject', 's3:PutObject'])
    const calculate = this.#function(
      'CalculateClose',
      'close-epoch-calculate',
      'Calculates the epoch twice',
      {},
      Duration.minutes(15),
      3008,
    )
    this.#objects(calculate, ['receipt-log/*', 'epochs/*'], ['s3:GetObject', 's3:PutObject'])
    const record = this.#function('RecordClose', 'close-epoch-record', 'Records the closed epoch')
    this.#ledger(record, ['dynamodb:GetItem', 'dynamodb:PutItem'])
    this.#objects(record, ['epochs/*', 'receipt-log/*'], ['s3:GetObject'])
    for (const step of [fix, calculate, record])
      step.allow(['kms:Decrypt', 'kms:GenerateDataKey'], [transcriptsKey.keyArn])

    const step = (id: string, lambdaFunction: HouseFunction, resultPath: string) =>
      new LambdaInvoke(this, id, {
        lambdaFunction,
        payloadResponseOnly: true,
        retryOnServiceExceptions: true,
        payload: TaskInput.fromObject({ epoch: JsonPath.numberAt('$.begun.epoch') }),
        resultPath,
      })
    const beginning = new LambdaInvoke(this, 'Begin', {
      lambdaFunction: begin,
      payloadResponseOnly: true,
      retryOnServiceExceptions: true,
      resultPath: '$.begun',
    })
    const grace = new Wait(this, 'Grace', { time: WaitTime.secondsPath('$.begun.graceSeconds') })
    const fixing = step('FixLog', fix, '$.fixed')
    // The log writer works in batches of a second; a log that is behind for more than ten minutes has a cause to look at.
    fixing.addRetry({
      errors: ['LogBehind'],
      interval: Duration.seconds(2),
      backoffRate: 1.5,
      maxDelay: Duration.seconds(60),
      maxAttempts: 18,
    })
    const calculating = step('Calculate', calculate, '$.calculated')
    const recording = step('Record', record, '$.recorded')
    const settling = settler
      ? new LambdaInvoke(this, 'Settle', {
          lambdaFunction: settler,
          payloadResponseOnly: true,
          resultPath: JsonPath.DISCARD,
        }).addCatch(new Pass(this, 'SettlerComesBackBySchedule'))
      : new Succeed(this, 'NoChain')
    const refused = new Fail(this, 'Refused', { causePath: '$.error.Cause', errorPath: '$.error.Error' })
    for (const state of [beginning, fixing, calculating, recording]) state.addCatch(refused, { resultPath: '$.error' })
    grace.next(fixing).next(calculating).next(recording).next(settling)
    const empty = new Succeed(this, 'NothingToClose')
    const flow = new StateMachine(this, 'CloseFlow', {
      definitionBody: DefinitionBody.fromChainable(
        beginning.next(
          new Choice(this, 'AnyReceipts')
            .when(Condition.stringEquals('$.begun.outcome', 'empty'), empty)
            .otherwise(grace),
        ),
      ),
      timeout: Duration.hours(2),
      tracingEnabled: true,
      logs: { destination: flowLogs(this), level: LogLevel.ALL, includeExecutionData: false },
    })
    new Alarm(this, 'CloseFailed', {
      alarmDescription: 'Nobody is paid for this epoch until its close succeeds. Runbook: docs/runbook.md#epoch-close',
      metric: flow.metricFailed({ period: Duration.minutes(5) }),
      threshold: 1,
      evaluationPeriods: 1,
      comparisonOperator: ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD,
      treatMissingData: TreatMissingData.NOT_BREACHING,
    })
    return flow
  }

  #settler(chain: NonNullable<House['config']['chain']>, key: Key): HouseFunction {
    const { config } = House.of(this)
    const { ledger, registry, transcriptsKey } = this.#storage
    const network = {
      CHAIN_RPC_URL: chain.rpcUrl,
      CHAIN_ID: String(chain.chainId),
      FINALITY_BLOCKS_TAG: chain.finality,
    }
    const settler = this.#function(
      'SettleEpochs',
      'settle-epochs',
      'Proposes, activates and pays closed epochs',
      {
        ...network,
        SETTLEMENT_ADDRESS: chain.settlement,
        SETTLER_KEY_ID: key.keyArn,
        SETTLER_ADDRESS: chain.settlerAddress,
        PUSH_THRESHOLD: chain.pushThreshold,
      },
      Duration.minutes(5),
      1024,
    )
      .allow(['kms:Sign'], [key.keyArn])
      .allow(['kms:Decrypt', 'kms:GenerateDataKey'], [transcriptsKey.keyArn])
      .allow(['dynamodb:Query'], [`${ledger.tableArn}/index/GSI1`])
    this.#ledger(settler, [
      'dynamodb:GetItem',
      'dynamodb:PutItem',
      'dynamodb:UpdateItem',
      'dynamodb:DeleteItem',
      'dynamodb:ConditionCheckItem',
      'dynamodb:Query',
    ])
    this.#objects(settler, ['epochs/*'], ['s3:GetObject', 's3:PutObject'])
    new HouseSchedule(this, 'SettleSchedule', {
      expression: config.epoch.settleEvery,
      target: settler,
      description: 'Settler',
      errorImpact: 'Closed epochs are not paid out on chain.',
    })

    const deposits = this.#function(
      'WatchDeposits',
      'watch-deposits',
      'Credits final deposits',
      { ...network, REGISTRY_TABLE: registry.tableName, ESCROW_ADDRESS: chain.escrow },
      Duration.minutes(1),
    ).allow(['dynamodb:Query'], [registry.tableArn])
    this.#ledger(deposits, [
      'dynamodb:GetItem',
      'dynamodb:PutItem',
      'dynamodb:UpdateItem',
      'dynamodb:DeleteItem',
      'dynamodb:Query',
    ])
    new HouseSchedule(this, 'DepositSchedule', {
      expression: 'rate(1 minute)',
      target: deposits,
      description: 'Deposits',
      errorImpact: 'Clients who deposited cannot spend it yet.',
    })
    return settler
  }
}
