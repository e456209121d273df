import { Duration, RemovalPolicy } from 'aws-cdk-lib'
import {
  AttributeType,
  Billing,
  type GlobalSecondaryIndexPropsV2,
  StreamViewType,
  TableEncryptionV2,
  TableV2,
} from 'aws-cdk-lib/aws-dynamodb'
import { Key } from 'aws-cdk-lib/aws-kms'
import {
  BlockPublicAccess,
  Bucket,
  BucketEncryption,
  type BucketProps,
  HttpMethods,
  ObjectOwnership,
} from 'aws-cdk-lib/aws-s3'
import { Construct } from 'constructs'
import { House } from './constructs/house.ts'

/** What lasts: two tables, three buckets, one key for transcripts. Kept by default in `prod`, removed in `dev`. */
export class Storage extends Construct {
  readonly registry: TableV2
  readonly ledger: TableV2
  readonly data: Bucket
  readonly models: Bucket
  readonly receipts: Bucket
  readonly transcriptsKey: Key

  constructor(scope: Construct, id: string) {
    super(scope, id)
    const { config } = House.of(this)
    const lasting = config.stage === 'prod'
    const removalPolicy = lasting ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY

    const table = (name: string, indexes: GlobalSecondaryIndexPropsV2[], stream = false) =>
      new TableV2(this, name, {
        partitionKey: { name: 'PK', type: AttributeType.STRING },
        sortKey: { name: 'SK', type: AttributeType.STRING },
        billing: Billing.onDemand(),
        encryption: TableEncryptionV2.awsManagedKey(),
        pointInTimeRecoverySpecification: { pointInTimeRecoveryEnabled: true },
        deletionProtection: lasting,
        removalPolicy,
        globalSecondaryIndexes: indexes,
        timeToLiveAttribute: 'ttl',
        ...(stream ? { dynamoStream: StreamViewType.NEW_IMAGE } : {}),
      })
    const index = (name: string): GlobalSecondaryIndexPropsV2 => ({
      indexName: name,
      partitionKey: { name: `${name}PK`, type: AttributeType.STRING },
      sortKey: { name: `${name}SK`, type: AttributeType.STRING },
    })
    this.registry = table('Registry', [index('GSI1')])
    // GSI1 lists an account's receipts; PENDING is sparse: only receipts without attribution and open holds stand in it.
    this.ledger = table('Ledger', [index('GSI1'), index('PENDING')], true)

    const bucket = (name: string, props: BucketProps) =>
      new Bucket(this, name, {
        blockPublicAccess: BlockPublicAccess.BLOCK_ALL,
        objectOwnership: ObjectOwnership.BUCKET_OWNER_ENFORCED,
        enforceSSL: true,
        versioned: true,
        removalPolicy,
        encryption: BucketEncryption.S3_MANAGED,
        ...props,
      })
    this.data = bucket('Data', {
      eventBridgeEnabled: true,
      cors: [
        {
          allowedMethods: [HttpMethods.PUT],
          allowedOrigins: config.allowedOrigins,
          allowedHeaders: ['*'],
          exposedHeaders: ['ETag'],
          maxAge: 3600,
        },
      ],
      lifecycleRules: [
        {
          id: 'expire-quarantine',
          prefix: 'quarantine/',
          expiration: Duration.days(30),
          noncurrentVersionExpiration: Duration.days(7),
        },
        { id: 'abort-multiparts', abortIncompleteMultipartUploadAfter: Duration.days(7) },
      ],
    })
    this.models = bucket('Models', {
      lifecycleRules: [{ id: 'expire-training-channels', prefix: 'trainings/', expiration: Duration.days(90) }],
    })
    this.transcriptsKey = new Key(this, 'TranscriptsKey', {
      enableKeyRotation: true,
      removalPolicy,
      description: 'Transcripts and receipts',
    })
    this.receipts = bucket('Receipts', {
      eventBridgeEnabled: true,
      encryption: BucketEncryption.KMS,
      encryptionKey: this.transcriptsKey,
      bucketKeyEnabled: true,
      lifecycleRules: [
        {
          id: 'expire-transcripts',
          prefix: 'transcripts/',
          expiration: Duration.days(30),
          noncurrentVersionExpiration: Duration.days(1),
        },
        {
          id: 'expire-scoring',
          prefix: 'scoring/',
          expiration: Duration.days(30),
          noncurrentVersionExpiration: Duration.days(1),
        },
      ],
    })
  }
}
