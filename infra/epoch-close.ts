import { Duration } from 'aws-cdk-lib'
import type { IKey } from 'aws-cdk-lib/aws-kms'
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
import { flowAlarm } from './constructs/flow-alarm.ts'
import { flowLogs } from './constructs/flow-logs.ts'
import { House } from './constructs/house.ts'
import type { HouseFunction } from './constructs/house-function.ts'
import { logAlarm } from './constructs/log-alarm.ts'
import { MoneyFunction } from './constructs/money-function.ts'
import { OPERATOR_PAYEE, PLATFORM_PAYEE, TREASURY_PAYEE } from './settlement-parties.ts'
import type { Storage } from './storage.ts'

/** begin -> grace -> fix the log -> calculate twice -> record -> settler. Refusals stop it before anything is signed. */
export class EpochClose extends Construct {
  readonly flow: StateMachine
  readonly #storage: Storage

  constructor(
    scope: Construct,
    id: string,
    { storage, receiptsKey, settler }: { storage: Storage; receiptsKey: IKey; settler?: HouseFunction },
  ) {
    super(scope, id)
    this.#storage = storage
    const steps = this.#steps(receiptsKey)
    const step = (name: string, lambdaFunction: HouseFunction, resultPath: string) =>
      new LambdaInvoke(this, name, {
        lambdaFunction,
        payloadResponseOnly: true,
        retryOnServiceExceptions: true,
        payload: TaskInput.fromObject({
          epoch: JsonPath.numberAt('$.begun.epoch'),
          again: JsonPath.stringAt('$.begun.again'), // a boolean; the path passes it on as it is
        }),
        resultPath,
      })
    const beginning = new LambdaInvoke(this, 'Begin', {
      lambdaFunction: steps.begin,
      payloadResponseOnly: true,
      retryOnServiceExceptions: true,
      resultPath: '$.begun',
    })
    const grace = new Wait(this, 'Grace', { time: WaitTime.secondsPath('$.begun.graceSeconds') })
    const fixing = step('FixLog', steps.fix, '$.fixed')
    // The log writer works in batches of a second; a log that is behind for more than ten minutes has a cause to look at.
    fixing.addRetry({
      errors: ['LogBehind'],
      interval: Duration.seconds(2),
      backoffRate: 1.5,
      maxDelay: Duration.seconds(60),
      maxAttempts: 18,
    })
    const calculating = step('Calculate', steps.calculate, '$.calculated')
    const recording = step('Record', steps.record, '$.recorded')
    const reconciling = steps.reconcile && step('Reconcile', steps.reconcile, '$.reconciled')
    const settling = settler
      ? new LambdaInvoke(this, 'Settle', {
          lambdaFunction: settler,
          payloadResponseOnly: true,
          resultPath: JsonPath.DISCARD,
        }).addCatch(new Pass(this, 'SettlerComesBackBySchedule'))
      : new Succeed(this, 'NoChain')
    const refused = new Fail(this, 'Refused', { causePath: '$.error.Cause', errorPath: '$.error.Error' })
    for (const state of [beginning, fixing, calculating, recording, ...(reconciling ? [reconciling] : [])])
      state.addCatch(refused, { resultPath: '$.error' })
    const calculated = grace.next(fixing).next(calculating)
    const checked = reconciling ? calculated.next(reconciling) : calculated
    checked.next(recording).next(settling)
    const empty = new Succeed(this, 'NothingToClose')
    this.flow = new StateMachine(this, 'CloseFlow', {
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
    flowAlarm(
      this,
      'CloseFailed',
      this.flow,
      'Nobody is paid for this epoch until its close succeeds. Runbook: docs/runbook.md#epoch-close',
    )
  }

  #steps(receiptsKey: IKey) {
    const storage = this.#storage
    const { epoch, platform } = House.of(this).config
    const begin = new MoneyFunction(this, 'BeginClose', storage, {
      verb: 'close-epoch-begin',
      description: 'Which epoch closes',
      environment: { EPOCH_GRACE_SECONDS: String(epoch.graceSeconds) },
    }).ledger('dynamodb:GetItem', 'dynamodb:Query', 'dynamodb:UpdateItem')
    const fix = new MoneyFunction(this, 'FixClose', storage, {
      verb: 'close-epoch-fix',
      description: 'Fixes everything that decides the epoch',
      environment: {
        REGISTRY_TABLE: storage.registry.tableName,
        ...{ PLATFORM_PAYEE, TREASURY_PAYEE, OPERATOR_PAYEE },
        ...(platform.address ? { PLATFORM_ADDRESS: platform.address } : {}),
        ...(platform.operatorAddress ? { OPERATOR_ADDRESS: platform.operatorAddress } : {}),
      },
      timeout: Duration.minutes(10),
      memoryMb: 1769,
    })
      .registry('dynamodb:GetItem')
      .ledger('dynamodb:GetItem', 'dynamodb:Query')
      .objects(['receipt-log/*', 'epochs/*'], 's3:GetObject', 's3:PutObject')
    const calculate = new MoneyFunction(this, 'CalculateClose', storage, {
      verb: 'close-epoch-calculate',
      description: 'Calculates the epoch twice',
      timeout: Duration.minutes(15),
      memoryMb: 3008,
    }).objects(['receipt-log/*', 'epochs/*'], 's3:GetObject', 's3:PutObject')
    const record = new MoneyFunction(this, 'RecordClose', storage, {
      verb: 'close-epoch-record',
      description: 'Records the closed epoch, signs its receipts root',
      environment: { RECEIPTS_KEY_ID: receiptsKey.keyArn },
      timeout: Duration.minutes(10),
    })
      .ledger('dynamodb:GetItem', 'dynamodb:PutItem', 'dynamodb:UpdateItem')
      .allow(['kms:Sign'], [receiptsKey.keyArn])
      .objects(['epochs/*', 'receipt-log/*'], 's3:GetObject', 's3:PutObject')
    return { begin, fix, calculate, record, reconcile: this.#reconcile() }
  }

  #reconcile(): HouseFunction | undefined {
    const { chain } = House.of(this).config
    if (!chain) return undefined
    const reconcile = new MoneyFunction(this, 'ReconcileEscrow', this.#storage, {
      verb: 'reconcile-escrow',
      description: 'Compares ledger and escrow, client by client',
      environment: {
        CHAIN_RPC_URL: chain.rpcUrl,
        CHAIN_ID: String(chain.chainId),
        ESCROW_ADDRESS: chain.escrow,
        ESCROW_CODE_HASH: chain.escrowCodeHash,
        FINALITY_BLOCKS_TAG: chain.finality,
      },
      timeout: Duration.minutes(10),
      memoryMb: 1024,
    })
      .ledger('dynamodb:GetItem')
      .objects(['epochs/*', 'receipt-log/*'], 's3:GetObject')
    logAlarm(this, 'EscrowDeficit', reconcile, 'escrow deficit', {
      errorImpact: 'The escrow does not cover what clients spent: no epoch is settled until it does.',
      runbook: 'escrow-deficit',
    })
    return reconcile
  }
}
