// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.28;

/// @title Public record of adapters: what they were made of, how attribution is computed, and how their fees are split.
/// @notice Holds no money. An adapter's record never changes except for its owner and its split.
interface IModelRegistry {
    /// @param base digest of the base model
    /// @param artefactHash digest of the adapter's files
    /// @param methodHash digest of the attribution method
    /// @param parameterHash digest of the method's parameters
    /// @param datanetRoots manifest roots of the Datanet versions it was trained on
    struct Adapter {
        address owner;
        bytes32 base;
        bytes32 artefactHash;
        bytes32 methodHash;
        bytes32 parameterHash;
        bytes32[] datanetRoots;
    }

    /// @notice Basis points; the sum is 10,000. Stakers without a payee must have 0.
    struct Split {
        uint16 owner;
        uint16 stakers;
        uint16 contributors;
        address stakersPayee;
    }

    event AdapterRegistered(bytes32 indexed id, address indexed owner, bytes32 base, bytes32 artefactHash);
    event SplitSet(bytes32 indexed id, uint64 indexed fromEpoch, Split split);
    event OwnershipOffered(bytes32 indexed id, address indexed to);
    event OwnerChanged(bytes32 indexed id, address indexed owner);

    error ZeroId();
    error ZeroHash();
    error NoDatanets();
    error AdapterExists(bytes32 id);
    error UnknownAdapter(bytes32 id);
    error NotOwner(bytes32 id, address caller);
    error NotOffered(bytes32 id, address caller);
    error SplitInvalid(uint256 sum);
    error StakersWithoutPayee();
    error EpochNotLater(uint64 earliest, uint64 given);
    error NoSplit(bytes32 id, uint64 epoch);

    /// @notice Registers an adapter of the sender; its split holds from the first epoch on.
    function register(bytes32 id, Adapter calldata adapter, Split calldata split) external;

    /// @notice Sets the split from a later epoch on: after the one that is pending or open now. A second call for the same
    /// epoch replaces the first. Owner.
    function setSplit(bytes32 id, uint64 fromEpoch, Split calldata split) external;

    /// @notice Offers ownership; it moves when the other side accepts. Owner.
    function offerOwnership(bytes32 id, address to) external;

    function acceptOwnership(bytes32 id) external;

    function adapter(bytes32 id) external view returns (Adapter memory record);

    /// @return split the split that holds in `epoch`
    function splitAt(bytes32 id, uint64 epoch) external view returns (Split memory split);
}
