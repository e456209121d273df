import { Duration } from 'aws-cdk-lib'
import type { Key } from 'aws-cdk-lib/aws-kms'
import { Construct } from 'constructs'
import { House } from './constructs/house.ts'
import type { HouseFunction } from './constructs/house-function.ts'
import { errorAlarm, logAlarm } from './constructs/log-alarm.ts'
import { MoneyFunction } from './constructs/money-function.ts'
import { HouseSchedule } from './constructs/schedule.ts'
import { OPERATOR_PAYEE } from './settlement-parties.ts'
import type { Storage } from './storage.ts'

interface ChainWorkersProps {
  storage: Storage
  chain: NonNullable<House['config']['chain']>
  settlerKey: Key
  watcherKey: Key
}

/** Whoever talks to the chain: the settler that proposes and pays, the watcher that vetoes, the scan of the escrow. */
export class ChainWorkers extends Construct {
  readonly settler: HouseFunction
  readonly #props: ChainWorkersProps

  constructor(scope: Construct, id: string, props: ChainWorkersProps) {
    super(scope, id)
    this.#props = props
    this.settler = this.#settler()
    this.#watcher()
    this.#deposits()
  }

  get #network() {
    const { rpcUrl, chainId, finality } = this.#props.chain
    return { CHAIN_RPC_URL: rpcUrl, CHAIN_ID: String(chainId), FINALITY_BLOCKS_TAG: finality }
  }

  #settler(): HouseFunction {
    const { storage, chain, settlerKey } = this.#props
    const settler = new MoneyFunction(this, 'SettleEpochs', storage, {
      verb: 'settle-epochs',
      description: 'Proposes, activates and pays closed epochs',
      environment: {
        ...this.#network,
        SETTLEMENT_ADDRESS: chain.settlement,
        SETTLEMENT_CODE_HASH: chain.settlementCodeHash,
        SETTLER_KEY_ID: settlerKey.keyArn,
        SETTLER_ADDRESS: chain.settlerAddress,
        PUSH_THRESHOLD: chain.pushThreshold,
      },
      timeout: Duration.minutes(5),
      memoryMb: 1024,
    })
      .allow(['kms:Sign'], [settlerKey.keyArn])
      .ledgerIndex()
      .ledger(
        'dynamodb:GetItem',
        'dynamodb:PutItem',
        'dynamodb:UpdateItem',
        'dynamodb:DeleteItem',
        'dynamodb:ConditionCheckItem',
        'dynamodb:Query',
      )
      .objects(['epochs/*'], 's3:GetObject', 's3:PutObject')
    const errorImpact = 'Closed epochs are not paid out on chain.'
    new HouseSchedule(this, 'SettleSchedule', {
      expression: House.of(this).config.epoch.settleEvery,
      target: settler,
      description: 'Settler',
      errorImpact,
    })
    logAlarm(this, 'SettlementStuck', settler, 'settlement stuck', { errorImpact, runbook: 'settlement-stuck' })
    errorAlarm(this, 'SettlerFails', settler, { errorImpact, runbook: 'settlement-stuck' })
    return settler
  }

  /** Reads the receipt log and nothing that the settler wrote; has a key that can only veto. */
  #watcher(): void {
    const { storage, chain, watcherKey } = this.#props
    const watcher = new MoneyFunction(this, 'WatchRoots', storage, {
      verb: 'watch-roots',
      description: 'Vetoes a pending root that the receipt log does not give',
      environment: {
        ...this.#network,
        SETTLEMENT_ADDRESS: chain.settlement,
        SETTLEMENT_CODE_HASH: chain.settlementCodeHash,
        WATCHER_KEY_ID: watcherKey.keyArn,
        WATCHER_ADDRESS: chain.watcherAddress,
      },
      timeout: Duration.minutes(15),
      memoryMb: 3008,
    })
      .allow(['kms:Sign'], [watcherKey.keyArn])
      .objects(['receipt-log/*'], 's3:GetObject')
    const errorImpact = 'A wrong root could become active, and pay the wrong people.'
    new HouseSchedule(this, 'WatchSchedule', {
      expression: 'rate(1 minute)',
      target: watcher,
      description: 'Watcher of pending roots',
      errorImpact,
    })
    const vetoed = 'A proposed root was wrong and is vetoed: nobody is paid for its epoch, and somebody signed it.'
    logAlarm(this, 'RootVetoed', watcher, 'root vetoed', { errorImpact: vetoed, runbook: 'root-vetoed' })
    logAlarm(this, 'RootNotChecked', watcher, 'root not checked', { errorImpact, runbook: 'root-not-checked' })
    errorAlarm(this, 'WatcherFails', watcher, { errorImpact, runbook: 'root-not-checked' })
  }

  #deposits(): void {
    const { storage, chain } = this.#props
    const { operatorAddress } = House.of(this).config.platform
    const deposits = new MoneyFunction(this, 'WatchDeposits', storage, {
      verb: 'watch-deposits',
      description: 'Credits final deposits, takes withdrawals',
      environment: {
        ...this.#network,
        REGISTRY_TABLE: storage.registry.tableName,
        ESCROW_ADDRESS: chain.escrow,
        ESCROW_CODE_HASH: chain.escrowCodeHash,
        OPERATOR_PAYEE,
        ...(operatorAddress ? { OPERATOR_ADDRESS: operatorAddress } : {}),
      },
      timeout: Duration.minutes(1),
    })
      .registry('dynamodb:GetItem', 'dynamodb:UpdateItem', 'dynamodb:Query')
      .ledger('dynamodb:GetItem', 'dynamodb:PutItem', 'dynamodb:UpdateItem', 'dynamodb:DeleteItem', 'dynamodb:Query')
    const errorImpact = 'Clients who deposited cannot spend it yet.'
    new HouseSchedule(this, 'DepositSchedule', {
      expression: 'rate(1 minute)',
      target: deposits,
      description: 'Deposits',
      errorImpact,
    })
    errorAlarm(this, 'DepositsFail', deposits, { errorImpact, runbook: 'deposits' })
  }
}
