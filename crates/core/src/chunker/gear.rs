//! The frozen table of random numbers that the chunker rolls over a file's bytes.
//!
//! Entry `b` is the first eight bytes, little-endian, of BLAKE3 over `GEAR_CONTEXT` followed by the byte `b`. The
//! table is public: a secret one would hide nothing, and every device must cut alike.

/// What the table is derived from.
#[cfg(test)]
const GEAR_CONTEXT: &[u8] = b"cairn 2026 gear table v1";

/// One number for each value of a byte.
#[rustfmt::skip]
pub(super) static GEAR: [u64; 256] = [
    0x7d94_b9bb_af55_6b4b, 0x6fc5_8edd_8e14_b317, 0xa247_16ee_9125_1303, 0x6239_2329_26f1_5f90,
    0x8139_ec65_bd3a_8ce5, 0x98e2_dee2_2d05_bd82, 0x1c63_141a_0611_16fb, 0x9e11_4d1e_ec0c_91be,
    0x3908_a40c_652b_18c1, 0x033f_916e_5c5d_16a8, 0xca68_5699_1ff3_bdcb, 0x2f1f_226d_ca31_a837,
    0x0704_33b3_c0a4_6c16, 0x1219_b89c_0d78_019a, 0x3853_503f_1a27_7c6d, 0x279e_fd47_40f4_1051,
    0x8d62_a4dc_d3fc_6403, 0x4654_8657_0e53_14b9, 0xe6c1_9b45_49d3_fd73, 0x88a7_2a2f_6604_76c4,
    0xbd96_cb28_7c54_5577, 0x33bf_a7df_4478_6f93, 0x5593_6008_a7cd_c128, 0x9125_b14b_c210_b6ee,
    0xac65_2df0_5608_98de, 0x9b02_c1cc_f4a8_3892, 0x36e9_a8ec_665d_ea12, 0x2dea_9274_a371_9c45,
    0xcf3b_e0d8_aa2d_54d2, 0xa7d9_1802_b6a8_8ec4, 0x5962_101a_b4ff_f94f, 0x1d8c_850c_3cb5_54b5,
    0xeef0_0c80_a4f3_a1f0, 0x5699_0503_5205_6760, 0x9919_2f4b_ce3a_beca, 0x79f7_db32_cede_508d,
    0x2fd0_34a4_38d3_6099, 0x2a66_ec7a_cd03_4ea4, 0xa278_23fb_0074_3998, 0xcb4d_0730_e6d9_8218,
    0xab3e_9e01_e4cb_7bfa, 0x56fc_2852_4f0d_d1f6, 0x1abc_9850_7fec_f579, 0x64fa_c531_12f2_8b24,
    0x2107_7814_cdaa_0b9d, 0xf62f_e27e_754a_0438, 0x99b8_4352_c07a_b9e9, 0xa2b9_16bc_96b1_5e8d,
    0x09d6_281e_c63c_0705, 0x2224_339c_7200_609c, 0xdfde_c69c_7f32_57c4, 0x4e72_4e0c_0838_d1e5,
    0x53f9_2984_5030_6beb, 0x9868_f946_5f22_d7ba, 0xbce2_2f05_54fd_9ec7, 0xdd9f_8ca6_be45_ae36,
    0x9953_95ce_9479_b31d, 0x2f08_c35e_4139_30f5, 0xb4e5_4de1_1bdf_0603, 0xa470_5819_ddee_d74f,
    0x90c5_e6ab_f016_8723, 0xa460_3573_88fe_c072, 0x466f_67d9_c127_29ba, 0x9750_47dd_d9ae_2669,
    0x2dce_979d_9195_2f91, 0x5b05_eb9a_6f2d_1e5e, 0xd1fc_258d_1c11_02bc, 0xf47e_b26d_97b4_ba38,
    0x5d02_b538_d3bd_eb28, 0xe56e_6207_0d20_90d2, 0x401d_2c84_02b5_805d, 0xfd61_4957_1144_5be6,
    0xf095_bf4d_99d8_0668, 0x1fd6_1293_90e8_d0e9, 0x95e1_1bb7_efa2_b8a7, 0xd164_bd7b_d115_8efa,
    0x3f25_cd96_5d94_9019, 0xb757_f266_a327_c072, 0x84ce_40db_b119_602d, 0x83c1_df7d_d9ec_081d,
    0x9cfd_db59_e978_e6ae, 0xa51d_be26_c28d_e0e6, 0x7571_0184_d26c_c489, 0x1fb2_e872_2052_16f0,
    0xda64_2c75_f5ff_3470, 0x5183_b871_469c_fbeb, 0xaa5d_35ee_81e3_ec21, 0x7d30_9560_9192_6ac8,
    0xb82e_2ea7_d829_ade4, 0xa48a_71a7_156b_1ecd, 0x74b0_aaf4_5069_9101, 0x1e89_63ad_e125_70fd,
    0x2ee6_dce1_6167_d493, 0xe54a_3edc_f1a8_1ff8, 0x2a6a_3b10_8361_8f5b, 0xc302_e228_b7b7_a0fb,
    0xfdee_9a7a_6c79_9bc3, 0x5888_709f_3363_39cc, 0x98f6_720a_7b32_e4e8, 0x4f0a_1d24_8964_1bbe,
    0x8e7a_fb69_462d_daae, 0xdb92_1905_3fd0_ca76, 0xb2b4_42f3_a99f_d14d, 0x1aad_d342_935e_4d34,
    0xc4f9_7fb7_50e6_1f62, 0x611d_fb5e_6178_3eff, 0xa22c_8e40_a1cb_aeba, 0xa7bd_3aca_e179_eb44,
    0x5faa_f385_9770_899c, 0xb9cc_0e9d_9417_1fd9, 0x7e27_b86a_11cd_4264, 0x3fbc_8066_45aa_5a39,
    0x904b_26e1_4707_f75a, 0xfbe9_0f93_cd9a_ce78, 0xca9e_0890_8787_575e, 0xe997_59f7_b971_4078,
    0x7641_5dd7_1dbe_8c92, 0x540a_a61a_d905_2f43, 0x8ade_952b_1bd8_7d89, 0x2fe3_240d_a586_44b5,
    0x44f0_fe12_4462_da4e, 0x6822_70c5_e417_98fc, 0xa0a2_6660_329a_d56d, 0xe72e_4296_ead8_96b1,
    0x5b60_083e_8c5c_6383, 0x80c7_435f_4ca7_912c, 0xcb8f_94d9_0d4e_6031, 0x4d3b_dd41_7eee_c1c2,
    0x49c1_ae2a_9cd5_b514, 0xf683_a549_9de2_cd06, 0x919e_6ee4_3cae_1cfa, 0x9b94_72ef_b2f2_154b,
    0xbc49_ca43_a361_c82f, 0x31d3_c85e_2b55_c4cb, 0x6c87_5a42_bb7e_3524, 0xb406_a5b4_b35f_379e,
    0xc1aa_7f12_62d5_75ea, 0xfd4a_d467_04ef_31b0, 0x6a2d_e6a9_d55c_552f, 0x2a03_e978_9261_2d30,
    0x5dc5_ef95_c941_1d59, 0xad2c_8ba6_77d6_ab15, 0x929e_823e_1647_f295, 0x1d70_00aa_b4e1_ae02,
    0xdd6e_197d_e264_b96e, 0x80cb_0204_8d5e_7d95, 0xaa12_74a7_4d8f_f86a, 0x6ff5_4727_a15e_109b,
    0x49ea_ecc9_b2a4_66b9, 0x6c3a_b98b_e7fe_d134, 0xf7bb_a779_98bf_c33e, 0x1594_ba54_05e3_236c,
    0x6f31_8f02_0b82_9561, 0x34cb_1bc8_ffe2_61e9, 0xe0ae_6204_acf9_2d79, 0x19a5_5909_b883_0156,
    0x6667_def8_8349_b08e, 0x1518_192a_08e8_57af, 0xb7f7_3ac2_b032_2f73, 0x7cf8_7ae1_c386_2e6f,
    0x6115_a228_bb62_75d0, 0xaa41_0fec_0db6_4863, 0x49ac_35b4_3636_9cb5, 0x1305_1e46_fb1d_507c,
    0x94a4_63c3_bd09_251c, 0x7712_848a_828e_98b3, 0xe8bf_12fe_a15a_8ed5, 0xd707_198f_39f6_be4c,
    0x43d0_797a_6bd9_e67b, 0x65d8_a4e6_1d6a_c03c, 0xcba0_bdbe_82cc_27f8, 0x2ded_6a0a_e34a_c69e,
    0x99ec_9ca3_d440_2650, 0x1bc0_cf1f_24ba_be47, 0x68f7_6737_d5ed_a840, 0x3944_7be6_c2a5_a88f,
    0x90a2_6b02_cd1a_6c4a, 0xb17b_79f9_b2fd_f59f, 0x3481_07fa_f6af_7c3e, 0x7845_5896_b63f_7587,
    0x3f73_bf14_2547_bcb2, 0x7e0e_a289_ca29_79c0, 0xa2fb_4a23_fdbe_4399, 0x0cc0_29ad_849a_1fd9,
    0x914a_397f_e686_b48e, 0x7821_b69f_0fba_69e5, 0x29e6_882f_c057_9d4a, 0x73c6_f397_3ca5_6d96,
    0x4e50_e0d7_9d12_2692, 0x3944_6266_2baa_4824, 0x825c_d296_e019_b671, 0xadeb_0e37_24bb_0e6e,
    0x602f_7bf7_9d39_16bd, 0xd679_61fc_ecdb_5366, 0xbbaa_de0a_e914_5dc3, 0x6984_23a3_858b_866c,
    0x42ef_3977_e5a5_0d40, 0x5deb_da4a_e161_4d74, 0xfa67_7081_4af0_1578, 0xaffb_ee5e_e0a8_35a0,
    0x1022_f8d1_5f96_01c0, 0xceeb_b876_2fc2_8b5a, 0xadae_7030_6bac_9ebf, 0xecaa_5718_c8dc_a5d5,
    0x3dd2_11cd_32c0_8288, 0x8bef_55f8_9ce4_bf9f, 0x8930_93b5_2606_4acb, 0xad65_8402_df4d_f34e,
    0x89e3_0a3f_b53a_bf0d, 0xf8f5_bc76_94cc_78fc, 0x9796_64f1_d145_f680, 0x61ae_7e0e_6004_48ed,
    0x671c_66ad_8292_53f9, 0x1cb6_fa81_dd29_03b4, 0xa247_a40b_bfbc_226f, 0x3cf5_7dc8_dc03_e7b1,
    0x94e4_18c0_1991_3148, 0xe40e_850d_bd24_a1ce, 0x0fb3_ca73_4dbe_758e, 0x7241_85e3_14d6_9d4a,
    0x25de_6634_0f9c_3118, 0x1050_188f_22b2_0f78, 0xfb50_e09f_f026_256d, 0xd92a_0e6f_dddd_fe97,
    0x1cc8_350e_d708_9ced, 0x6706_2dd7_7826_a85e, 0x10fc_031a_dec7_1add, 0x0d99_1c30_4326_5ac3,
    0xe0b1_7148_f533_7f17, 0xca6e_75a5_ad64_5987, 0xcc81_4b21_666e_b00d, 0x5b25_1f6f_a70b_09d7,
    0xac97_4c32_89f3_d29b, 0x07bc_9f9c_d49e_e366, 0x28ab_d3e7_02a5_104a, 0x4d6d_85d3_24b4_d989,
    0xe6ea_49ac_5602_dead, 0x0643_16bb_c587_f5c3, 0x69fc_a343_32db_a397, 0x747f_8725_4fa1_7217,
    0xff06_2e1f_c50e_8a66, 0xce1b_896e_e6d6_705f, 0xd306_6608_e446_65b3, 0x2b31_19ce_2632_dc9c,
    0xe6e6_af26_c8de_f3d9, 0xfdba_d340_85d6_2cb0, 0xc53e_9c29_2dd2_df99, 0xf1d1_97f0_f027_4541,
    0x8af4_30dd_98ba_e395, 0x8274_005b_f0e3_a6cd, 0x319f_a21f_29c6_afc5, 0xa2ef_f6f9_2642_3eeb,
    0xa6c6_c494_972d_4a2e, 0xd05c_01a3_9456_96da, 0x0d7f_fa1c_d0bd_f533, 0x8fa1_93b1_1f61_4495,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_equals_its_formula() {
        for (index, gear) in GEAR.iter().enumerate() {
            let input = [GEAR_CONTEXT, &[index as u8]].concat();
            let hash = blake3::hash(&input);
            assert_eq!(
                *gear,
                u64::from_le_bytes(hash.as_bytes()[..8].try_into().unwrap()),
                "{index}"
            );
        }
    }
}
