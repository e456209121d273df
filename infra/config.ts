import { existsSync, readFileSync } from 'node:fs'
import * as z from 'zod'

const Address = z.string().regex(/^0x[0-9a-fA-F]{40}$/)
const Bytes32 = z.string().regex(/^0x[0-9a-f]{64}$/)

/** Where settlement happens. Left out, epochs still close and accrue; nothing is sent to a chain. */
const Chain = z.strictObject({
  rpcUrl: z.url(),
  chainId: z.number().int().positive(),
  token: Address,
  escrow: Address,
  settlement: Address,
  /** Address of the stack's settler key (output SettlerKeyArn): deploy once without a chain, tell the contracts, deploy again. */
  settlerAddress: Address,
  /** Address of the stack's watcher key (output WatcherKeyArn), which may veto. */
  watcherAddress: Address,
  /** keccak256 of the runtime codes, from the deployment's JSON: workers refuse a chain where they differ. */
  settlementCodeHash: Bytes32,
  escrowCodeHash: Bytes32,
  datanetRegistry: Address.optional(),
  modelRegistry: Address.optional(),
  /** Payees whose claimable is at least this are pushed; the rest claims. Units of 1e-18 OPEN. */
  pushThreshold: z.string().regex(/^\d+$/).default('1'),
  /** Block tag that counts as final for deposits and settlement. */
  finality: z.enum(['finalized', 'safe', 'latest']).default('finalized'),
})

/** Every deploy knob, with its default. Read from openledger.config.json, then `-c openledger='{...}'`. Unknown keys are refused. */
export const Config = z.strictObject({
  /** `prod` keeps data when the stack goes; `dev` removes it. */
  stage: z.enum(['dev', 'prod']).default('prod'),
  logRetentionDays: z.union([z.literal(7), z.literal(30), z.literal(90), z.literal(365)]).default(90),
  permissionsBoundaryArn: z.string().startsWith('arn:').optional(),
  alarmEmail: z.email().optional(),
  allowedOrigins: z.array(z.string()).default(['*']),
  /** ECR URIs of ready images; left out, CDK builds them from gpu-images/ (needs Docker at deploy time, not at synth). */
  images: z.strictObject({ fineTune: z.string(), openLora: z.string(), influence: z.string() }).optional(),
  /** The customer's own identity provider; left out, the stack makes a Cognito user pool. */
  oidc: z.strictObject({ issuer: z.url(), audience: z.string(), jwksUri: z.url() }).optional(),
  operatorsGroup: z.string().default('operators'),
  training: z
    .strictObject({
      instanceType: z.string().default('ml.g5.xlarge'),
      spot: z.boolean().default(true),
      /** Units of 1e-18 OPEN per second of training, for quotes and the recipe's cost limit. */
      pricePerSecond: z.string().regex(/^\d+$/).default('1000000000000000'),
    })
    .prefault({}),
  hosting: z
    .strictObject({
      instanceType: z.string().default('ml.g5.xlarge'),
      /** torch: ours, on CPU and GPU. vllm: a stock vLLM behind the same door, for GPUs; a given image must have it. */
      engine: z.enum(['torch', 'vllm']).default('torch'),
      maxEndpoints: z.number().int().min(1).max(100).default(4),
      /** Longest prompt and answer together, tokens: it bounds what a request reserves of a GPU's memory. 0: the model's own limit. */
      maxModelTokens: z.number().int().min(0).default(0),
      /** Endpoints of each pool (base model and rank bucket); adapters are spread over them. */
      shards: z.number().int().min(1).max(20).default(1),
      /**
       * The account's quota of this instance type for endpoints (Service Quotas console): before an endpoint is made, the
       * instances of this type that all endpoints of the account run are counted. 0: only SageMaker itself refuses.
       */
      accountQuota: z.number().int().min(0).default(0),
      /** Instance-hours a day (UTC), influence included: when they are spent no endpoint is made before midnight. 0: no limit. */
      dailyInstanceHours: z.number().int().min(0).default(0),
      /** What runs when they are spent. finish: it serves on while it is asked. stop: serving endpoints are taken down. */
      overBudget: z.enum(['finish', 'stop']).default('finish'),
      /** Scale to zero: a pool that nobody asked for so long is taken down, and comes up again when it is asked. 0: never. */
      idleMinutes: z.number().int().min(0).default(0),
      /** Instances of each base model's influence endpoint. 0 = none while nobody waits; equal numbers = no scaling. */
      influence: z
        .strictObject({
          minInstances: z.number().int().min(0).max(20).default(0),
          maxInstances: z.number().int().min(1).max(20).default(1),
        })
        .refine(({ minInstances, maxInstances }) => minInstances <= maxInstances, 'minInstances exceeds maxInstances')
        .prefault({}),
    })
    .prefault({}),
  platform: z
    .strictObject({
      /** Where the platform fee is paid; without it the fee accrues unassigned. */
      address: Address.optional(),
      /** Backs the balances that the operator credits, and carries the spending of clients without an address. */
      operatorAddress: Address.optional(),
      feeBps: z.number().int().min(0).max(10_000).default(500),
    })
    .prefault({}),
  epoch: z
    .strictObject({
      schedule: z.string().default('rate(1 day)'),
      settleEvery: z.string().default('rate(5 minutes)'),
      /** Keys that signed receipts before the present one: they stay published, with the end of their validity. */
      pastReceiptKeys: z
        .array(
          z.strictObject({
            keyId: z.string().min(1),
            algorithm: z.literal('ECDSA_SHA_256'),
            publicKey: z.string().min(1),
            from: z.iso.datetime(),
            until: z.iso.datetime(),
          }),
        )
        .default([]),
      graceSeconds: z.number().int().min(1).max(3600).default(330),
    })
    .prefault({}),
  attribution: z
    .strictObject({
      /**
       * A batch of receipts ends at this many, or this many seconds after its first. Shards are loaded once a batch
       * (functions are not sticky), so 500 and 60 is the cheap end and one second the quick one: contributors see their
       * share a minute later for up to 500 times fewer loads (docs/architecture.md, "Cost of provenance").
       */
      batchSize: z.number().int().min(1).max(500).default(100),
      batchSeconds: z.number().int().min(1).max(60).default(1),
      /** Workers at once; each may hold its own copy of the same shards. SQS asks for at least 2. */
      concurrency: z.number().int().min(2).max(1000).default(10),
      /** A receipt whose influence scores did not come for so long is completed without them. */
      giveUpHours: z.number().int().min(1).max(168).default(24),
    })
    .prefault({}),
  chain: Chain.optional(),
  tags: z.record(z.string(), z.string()).default({}),
})
export type Config = z.output<typeof Config>

/** Refuses unknown and malformed knobs by name, so that a typo stops the synth and not the night after it. */
export const loadConfig = (context: unknown, file = 'openledger.config.json'): Config => {
  const fromFile = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {}
  const fromContext = typeof context === 'string' ? JSON.parse(context) : (context ?? {})
  const parsed = Config.safeParse({ ...fromFile, ...fromContext })
  if (parsed.success) return parsed.data
  throw new Error(`openledger configuration:\n${z.prettifyError(parsed.error)}`)
}
